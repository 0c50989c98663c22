//! A table of values: what it does, its path, what it looks like, its default in JSON, and what later version reads it.

/// `"path": Shape => default, until "what will read it";` — the last two are left out where there is none.
macro_rules! rows {
    ($(#[$about:meta])+ $name:ident: $(
        $(#[doc = $doc:literal])+ $path:literal: $shape:expr $(=> $default:tt)? $(, until $later:expr)?;
    )+) => {
        $(#[$about])+
        pub(super) const $name: &[ChartValue] = &[$(ChartValue {
            path: $path,
            shape: $shape,
            default: $crate::chart::rows::perhaps!($(stringify!($default))?),
            doc: concat!($($doc),+),
            later: $crate::chart::rows::perhaps!($($later)?),
        }),+];
    };
}

macro_rules! perhaps {
    () => {
        None
    };
    ($given:expr) => {
        Some($given)
    };
}

pub(crate) use {perhaps, rows};
