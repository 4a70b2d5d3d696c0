//! What the declarations of several types share.

/// Declares functions that are `const`, but not in a model: loom makes its types at run time.
macro_rules! const_fn {
    ($(
        $(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty $body:block
    )+) => {
        $(
            #[cfg(not(lisle_loom))]
            $(#[$meta])* $vis const fn $name($($arg: $ty),*) -> $out $body
            #[cfg(lisle_loom)]
            $(#[$meta])* $vis fn $name($($arg: $ty),*) -> $out $body
        )+
    };
}

/// Shows guards of a `T` as it shows itself.
macro_rules! fmt_as_value {
    ($($guard:ty),+) => {
        $(
            impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $guard {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    (**self).fmt(f)
                }
            }

            impl<T: ?Sized + std::fmt::Display> std::fmt::Display for $guard {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    (**self).fmt(f)
                }
            }
        )+
    };
}

/// Says that a type may be used after a panic that it has seen: it is never left half changed,
/// since no user code runs while it changes.
macro_rules! unwind_safe {
    ($type:ident$(<$param:ident>)?) => {
        impl$(<$param>)? std::panic::UnwindSafe for $type$(<$param>)? {}
        impl$(<$param>)? std::panic::RefUnwindSafe for $type$(<$param>)? {}
    };
}
