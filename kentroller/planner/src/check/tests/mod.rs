//! What the judge must allow and refuse.
mod planned;
