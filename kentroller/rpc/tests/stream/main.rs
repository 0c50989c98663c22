//! Client and server over real sockets of this machine, with whatever may go wrong between them.

mod descriptor;
mod faults;
mod limits;
mod rogue;
mod scene;
mod secrets;
mod tls;
