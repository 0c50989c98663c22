//! What EC2 sells in a region and what it costs, as the planner's catalogue.
//!
//! Requests are made and read here, not by the SDK's crate for EC2: five calls of its seven hundred are needed, and it takes
//! 7 GB of memory to compile. Credentials are the SDK's matter.

#![warn(missing_docs)]

mod answer;
mod call;
mod catalogue;
mod connection;
mod error;
mod inventory;
mod place;
mod policy;
mod product;
mod retry;

pub use error::Error;
pub use inventory::{Inventory, Reading};
pub use policy::policy;
