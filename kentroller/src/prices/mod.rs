//! Prices that are read again and again while the operator runs, and what counts when they cannot be.

mod cache;
mod inventory;
mod refreshed;

pub use self::inventory::{Inventory, NOT_BUILT, Read, of_aws};
pub use self::refreshed::{AGE, Keeping, Refreshed};
