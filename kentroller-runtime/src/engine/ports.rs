//! Questions to ports, without their types.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::clock::Clock;
use crate::failure::{Failure, PORT_PANICKED, PORT_TIMEOUT};
use crate::port::{Answer, Cancelled, Port, Seen};
use crate::store::Cut;

/// Puts an answer into a cut.
pub(crate) type Put = Box<dyn FnOnce(&mut Cut, Timestamp) + Send>;

/// The ports of this process.
#[derive(Clone, Default)]
pub struct Ports {
    known: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
    restore: BTreeMap<&'static str, Restore>,
}

/// Puts an answer into a cut, from JSON.
type Restore = fn(&mut Cut, &str, Value) -> Result<(), serde_json::Error>;

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ports({})", self.known.len())
    }
}

impl Ports {
    /// With this port; of two of one type the later counts.
    pub fn with<P: Port>(mut self, port: P) -> Self {
        self.known.insert(TypeId::of::<P>(), Arc::new(port));
        self.restore.insert(P::NAME, |cut, key, answer| {
            cut.set_answer::<P>(Arc::from(key), serde_json::from_value(answer)?);
            Ok(())
        });
        self
    }

    /// Puts a recorded answer into a cut.
    ///
    /// # Errors
    /// The answer does not decode. An answer of a port that this process does not have is left out.
    pub(crate) fn restore(&self, cut: &mut Cut, port: &str, key: &str, answer: Value) -> Result<(), serde_json::Error> {
        self.restore.get(port).map_or(Ok(()), |restore| restore(cut, key, answer))
    }

    fn get<P: Port>(&self) -> Option<Arc<P>> {
        Arc::clone(self.known.get(&TypeId::of::<P>())?).downcast().ok()
    }
}

/// A question without its type.
pub(crate) trait Asked: Send + Sync {
    /// Notes that the question was asked, unless it waits for its answer already.
    fn note(&self, key: &Arc<str>, cut: &mut Cut, now: Timestamp) -> bool;
    /// Runs the port; what comes out puts the answer into a cut.
    fn run(&self, key: Arc<str>, ports: &Ports, cut: Cut, clock: &Clock) -> futures::future::BoxFuture<'static, Put>;
}

/// A question to port `P`.
pub(crate) struct Typed<P: Port>(pub(crate) P::Ask);

impl<P: Port> Asked for Typed<P> {
    fn note(&self, key: &Arc<str>, cut: &mut Cut, now: Timestamp) -> bool {
        if matches!(cut.answer::<P>(key), Some(Answer::Asked { .. })) {
            return false;
        }
        cut.set_answer::<P>(Arc::clone(key), Answer::Asked { since: now });
        true
    }

    fn run(&self, key: Arc<str>, ports: &Ports, cut: Cut, clock: &Clock) -> futures::future::BoxFuture<'static, Put> {
        let (ask, port, clock) = (self.0.clone(), ports.get::<P>(), clock.clone());
        Box::pin(async move {
            let filled = match port {
                Some(port) => fill(port, ask, cut, &clock).await,
                None => Err(Failure::terminal("PortMissing", format!("this process has no port {}", P::NAME))),
            };
            let put: Put = Box::new(move |cut, at| {
                let answer = match filled {
                    Ok(answer) => Answer::Given { at, answer: Arc::new(answer) },
                    Err(failure) => Answer::Failed { at, failure },
                };
                cut.set_answer::<P>(key, answer);
            });
            put
        })
    }
}

async fn fill<P: Port>(port: Arc<P>, ask: P::Ask, cut: Cut, clock: &Clock) -> Result<P::Answer, Failure> {
    let (cancelled, now, seen) = (Cancelled::default(), clock.now(), Seen::of(&cut));
    if clock.is_virtual() {
        // One thread, one order: the same seed gives the same bytes.
        tokio::time::sleep(Duration::from_millis(1)).await;
        return port.fill(&ask, &seen, now, &cancelled);
    }
    let work = {
        let cancelled = cancelled.clone();
        tokio::task::spawn_blocking(move || port.fill(&ask, &seen, now, &cancelled))
    };
    match tokio::time::timeout(P::TIME_LIMIT, work).await {
        Ok(Ok(filled)) => filled,
        Ok(Err(panic)) => Err(PORT_PANICKED.because(format_args!("{} panicked: {panic}", P::NAME))),
        Err(_) => {
            cancelled.set();
            Err(PORT_TIMEOUT.because(format_args!("{} gave no answer within {:?}", P::NAME, P::TIME_LIMIT)))
        }
    }
}
