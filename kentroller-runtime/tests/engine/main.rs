//! The engine on the in-process API server, in virtual time.

mod kinds;
mod leading;
mod looking;
mod stage;
mod threads;
mod watching;
mod writing;
