//! The API server in process: the whole operator runs against it in virtual time, and the same seed gives the same bytes.

pub mod apiserver;
