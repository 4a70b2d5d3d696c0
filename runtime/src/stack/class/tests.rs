use super::*;

#[test]
fn promises_are_kept_by_fresh_slots_and_idle_stacks_alike() {
    let mut class = Class::new(StackSize::new(256 * 1024));
    assert_eq!(class.promise(5, GuardKind::Install).unwrap(), 5);
    let fresh = class.take_fresh(3).unwrap();
    assert_eq!((fresh.count, class.promised, class.issued), (3, 2, 3));
    let slots: Vec<_> = (0..3)
        // SAFETY: the range has three slots.
        .map(|index| unsafe { fresh.first.nth(index, class.size) })
        .collect();
    class.give(&slots[..2], 1);
    assert_eq!((class.promised, class.issued), (3, 1));
    assert_eq!(class.take_idle(5).collect::<Vec<_>>(), &slots[..2]);
    assert_eq!((class.promised, class.issued), (1, 3));
    class.withdraw_promises(1);
    assert_eq!(class.in_use(), 3);
}

#[test]
fn slots_whose_guards_were_refused_can_be_taken_again() {
    let mut class = Class::new(StackSize::new(256 * 1024));
    class.promise(1, GuardKind::Install).unwrap();
    let fresh = class.take_fresh(1).unwrap();
    assert_eq!(class.promised, 0);
    class.untake_fresh(fresh);
    assert_eq!((class.promised, class.issued), (1, 0));
    assert_eq!(class.take_fresh(1).unwrap().first, fresh.first);
}

#[test]
fn with_mprotect_a_promise_has_its_guard_already() {
    let mut class = Class::new(StackSize::new(256 * 1024));
    for _ in 0..100 {
        assert_eq!(class.promise(1, GuardKind::Mprotect).unwrap(), 1);
    }
    assert!(class.idle.len() >= 100);
    assert_eq!(class.take_idle(100).count(), 100);
    assert_eq!((class.promised, class.issued), (0, 100));
}

/// All slots of a class, taken out one by one.
fn take(class: &mut Class, count: usize) -> Vec<Slot> {
    let take_one = |_| {
        class.promise(1, GuardKind::Install).unwrap();
        let idle = class.take_idle(1).next();
        idle.unwrap_or_else(|| class.take_fresh(1).unwrap().first)
    };
    (0..count).map(take_one).collect()
}

#[test]
fn a_region_leaves_when_all_its_stacks_are_back_and_not_before() {
    let mut class = Class::new(StackSize::new(256 * 1024));
    let mut slots = take(&mut class, 40);
    assert!(class.regions.len() > 1);
    assert!(class.take_surplus(0, GuardKind::Install).is_empty());
    let last = slots.pop().unwrap();
    class.give(&slots, 0);
    let home = class.region_of(last).first;
    let taken = class.take_surplus(0, GuardKind::Install);
    assert!(!taken.is_empty() && taken.iter().all(|region| region.first != home));
    assert_eq!(class.regions.len(), 1);
    assert_eq!(class.idle.len() + class.fresh_slots + 1, class.regions[0].count);

    class.give(&[last], 0);
    assert_eq!(class.take_surplus(0, GuardKind::Install).len(), 1);
    let left = (class.idle.len(), class.fresh_slots, class.free_slots, class.in_use());
    assert_eq!(left, (0, 0, 0, 0));
    assert_eq!(take(&mut class, 3).len(), 3);
}

#[test]
fn what_is_kept_is_bounded_and_what_is_promised_stays() {
    let mut class = Class::new(StackSize::new(256 * 1024));
    let slots = take(&mut class, 5000);
    class.give(&slots, 3000);
    assert!(class.has_surplus(0));
    class.take_surplus(0, GuardKind::Install);
    assert!(class.backing(GuardKind::Install) >= 3000);
    // Which regions stay, and so how many of the stacks are fresh, is up to their addresses.
    let mut promised = 3000 - class.take_idle(3000).count();
    while promised > 0 {
        promised -= class.take_fresh(promised).expect("it was promised").count;
    }

    let mut class = Class::new(StackSize::new(256 * 1024));
    let slots = take(&mut class, 5000);
    class.give(&slots, 0);
    class.take_surplus(KEEP_IDLE, GuardKind::Install);
    assert!(!class.has_surplus(KEEP_IDLE));
    assert!(class.regions.iter().map(|region| region.count).sum::<usize>() <= 64);
}

#[test]
fn growth_that_fails_changes_nothing() {
    let mut class = Class::new(StackSize::new(usize::MAX));
    for _ in 0..2 {
        let error = class.promise(1, GuardKind::Install).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("address space"), "{error}");
        assert_eq!((class.in_use(), class.fresh_slots), (0, 0));
    }
}
