//! What the declarations of several types share.

/// Declares functions that are `const`, but not in a model: loom makes its types at run time.
macro_rules! const_fn {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty $body:block)+) => {
        $(
            #[cfg(not(lisle_loom))]
            $(#[$meta])* $vis const fn $name($($arg: $ty),*) -> $out $body
            #[cfg(lisle_loom)]
            $(#[$meta])* $vis fn $name($($arg: $ty),*) -> $out $body
        )+
    };
}
