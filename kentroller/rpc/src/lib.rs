//! The protocol between an operator in connected mode and a backend: its messages, the client's side and the server's side.
//!
//! It knows neither Kubernetes nor the planner: what a question and a plan hold are bytes to it.

mod client;
mod server;

pub use self::client::{Client, Counts, Endpoint, KeySource, NoPlan, Pace, Tls};
pub use self::server::{Identity, Keys, Limits, Planner, Refused, Serving, serve};

/// The messages, as `proto/kentroller/plan/v1/plan.proto` declares them.
#[allow(clippy::all, clippy::pedantic, missing_docs, reason = "made of the declaration, not by hand")]
pub mod v1 {
    tonic::include_proto!("kentroller.plan.v1");
}

/// The declaration of the messages as a `FileDescriptorSet`, to be compared with that of other versions.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plan.binpb"));

/// The largest message that a client reads. Unit: bytes. A plan has at most half of it.
pub const LARGEST_ANSWER: usize = 8 << 20;
/// The largest `plan_json`. Unit: bytes.
pub const LARGEST_PLAN: usize = 4 << 20;
/// The metadata that name the cluster.
const CLUSTER_ID: &str = "x-cluster-id";
/// Before the key in the metadata `authorization`.
const SCHEME: &str = "Token ";
/// A side that has heard nothing for so many times the interval of keepalives ends the stream.
const MISSED: u32 = 3;

/// At most so many bytes of a text of the other side, without what a terminal would obey.
pub fn tame(text: &str, most: usize) -> String {
    let mut tamed = String::new();
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if tamed.len() + letter.len_utf8() > most {
            break;
        }
        tamed.push(letter);
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_other_side_is_cut_and_obeyed_by_no_terminal() {
        assert_eq!(tame("a\u{1b}[2Jb\nc", 100), "a [2Jb c");
        assert_eq!(tame("äöü", 5), "äö");
    }
}
