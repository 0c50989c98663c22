//! One running operator: elected, with its engine, until it is told to stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::engine::ports::Ports;
use crate::engine::writer::Writer;
use crate::engine::{AnyController, Engine, Parts};
use crate::kind::KindInfo;
use crate::lease::{Election, Fence};
use crate::metrics::Metrics;
use crate::switches::Switches;

/// The name of the lease.
pub const LEASE: &str = "castai-kentroller";

/// What an operator runs.
pub struct Operator<S> {
    pub controllers: Vec<Box<dyn AnyController<S>>>,
    pub ports: Ports,
    pub settings: watch::Receiver<Arc<S>>,
    pub metrics: Metrics,
    /// The pod's name: holder of the lease and reporter of events.
    pub instance: String,
    /// Where the lease and our own ConfigMaps are.
    pub namespace: String,
    /// Kinds that are read in one namespace only.
    pub own_namespace: BTreeMap<KindInfo, String>,
    /// Computes everything and writes nothing at all, not even a lease.
    pub shadow: bool,
    /// Waits for a lease before it acts. Off for a single replica.
    pub elect: bool,
    pub readiness: Readiness,
    /// Where reconciles that acted are written, one file each, for `kentroller replay`.
    pub records: Option<PathBuf>,
}

/// Whether the process is ready: its stores can be read, or it stands by.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// Why an operator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// Another replica may act now: the process must end.
    LeaseLost,
}

impl<S: Switches + Serialize> Operator<S> {
    /// Runs until `stop` turns true or the lease is lost.
    pub async fn run(self, client: kube::Client, clock: Clock, mut stop: watch::Receiver<bool>) -> Ended {
        self.readiness.set(true);
        if self.shadow || !self.elect {
            self.engine(client, clock, Fence::open()).run(stop).await;
            return Ended::Stopped;
        }
        let mut election = Election::new(client.clone(), clock.clone(), &self.namespace, LEASE, &self.instance);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
            () = election.win() => tracing::info!(lease = LEASE, "leading"),
        }
        let readiness = self.readiness.clone();
        let (halt, halted) = watch::channel(false);
        let engine = self.engine(client, clock, election.fence());
        let mut running = tokio::spawn(engine.run(halted));
        let ended = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
            () = election.keep() => Ended::LeaseLost,
            // The engine ends by itself only when its task panicked.
            _ = &mut running => return Ended::LeaseLost,
        };
        readiness.set(false);
        let _ = halt.send(true);
        let _ = running.await;
        if ended == Ended::Stopped {
            election.release().await;
        }
        ended
    }

    fn engine(self, client: kube::Client, clock: Clock, fence: Fence) -> Engine<S> {
        Engine::new(Parts {
            controllers: self.controllers,
            writer: Writer { client, clock, fence, shadow: self.shadow },
            ports: self.ports,
            settings: self.settings,
            metrics: self.metrics,
            instance: self.instance,
            namespace: self.namespace,
            own_namespace: self.own_namespace,
            records: self.records,
        })
    }
}
