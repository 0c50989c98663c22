//! Prints the inventory of a region as CSV: `aws-inventory [REGION]`. The tests start it as a process of its own, with the environment
//! that a pod would have.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::process::ExitCode;

use kentroller_aws::Inventory;

fn main() -> ExitCode {
    let region = std::env::args().nth(1);
    // Not the time of day: what is asked for and what comes out are the same in every run.
    let now = "2026-10-27T12:00:00Z".parse().expect("a time");
    match Inventory::open(region.as_deref()).and_then(|inventory| inventory.read(now)) {
        Ok(reading) => {
            print!("{}", reading.catalog.to_csv());
            reading.warnings.iter().for_each(|warning| eprintln!("{warning}"));
            eprintln!("{}, {}, {} requests", reading.catalog.source, reading.catalog.as_of, reading.requests);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
