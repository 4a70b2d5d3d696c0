//! Where a debugger finds what there is to know of a task.

use std::mem::offset_of;

use super::extras::Extras;
use super::home::{KEPT, TIED};
use super::join::JoinState;
use super::{Control, ParkRecord, Phase};
use crate::debugger::Entry;

pub(crate) static LAYOUT: [Entry; 19] = [
    Entry::new("task.size", size_of::<Control>()),
    Entry::new("task.id", offset_of!(Control, id)),
    Entry::new("task.context", offset_of!(Control, context)),
    Entry::new("task.stack", offset_of!(Control, stack)),
    Entry::new("task.phase", offset_of!(Control, phase)),
    Entry::new("phase.parked", Phase::Parked as usize),
    Entry::new("phase.awaits_unpark", Phase::AwaitsUnpark as usize),
    Entry::new("phase.left_behind", Phase::LeftBehind as usize),
    Entry::new("task.event", offset_of!(Control, join) + JoinState::EVENT),
    Entry::new("event.ended", JoinState::ENDED),
    Entry::new("task.home", offset_of!(Control, home)),
    Entry::new("home.not_started", KEPT),
    Entry::new("home.flags", KEPT | TIED),
    Entry::new("task.spawned_at", offset_of!(Control, spawned_at)),
    Entry::new("task.extras", offset_of!(Control, extras)),
    Entry::new("extras.name", offset_of!(Extras, name)),
    Entry::new("task.parked", offset_of!(Control, parked)),
    Entry::new("parked.object", offset_of!(ParkRecord<'static>, object)),
    Entry::new("parked.place", offset_of!(ParkRecord<'static>, place)),
];
