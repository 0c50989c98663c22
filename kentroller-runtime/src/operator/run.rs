//! One running operator: its watches, its engine, its lease and its probes, until it is told to stop.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Operator;
use crate::clock::Clock;
use crate::engine::writer::Writer;
use crate::engine::{Engine, Parts};
use crate::lease::{Election, Fence, Role};
use crate::switches::Switches;
use crate::{serve, wire};

/// Why an operator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// Another replica may act now: the process must end.
    LeaseLost,
}

/// Why an operator does not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client can be made of the kubeconfig.
    #[error("the kubeconfig cannot be used: {0}")]
    Client(#[from] kube::Error),
    /// The address is taken, or not ours.
    #[error("probes cannot be served at {address}: {source}")]
    Probes {
        /// Where probes were to answer.
        address: SocketAddr,
        /// Why they cannot.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for lease and probes: {0}")]
    Thread(std::io::Error),
    /// It could not renew its lease in time.
    #[error("the lease is lost: another replica may act; this one ends")]
    LeaseLost,
}

impl<S: Switches + Serialize> Operator<S> {
    /// Runs against a cluster until the process is told to stop by SIGTERM or SIGINT, or the lease is lost.
    ///
    /// Lease and probes have a thread and a client of their own: neither a long reconcile nor a crowd of requests keeps them
    /// from being in time.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::LeaseLost`] the process must end.
    pub async fn run(self, config: kube::Config) -> Result<(), Error> {
        let agent = format!("{}/{}", self.name, self.version);
        let client = wire::client(config.clone(), &agent)?;
        let probes = match self.probes {
            Some(address) => Some(bind(address).map_err(|source| Error::Probes { address, source })?),
            None => None,
        };
        let registry = Arc::new(self.metrics.register(self.metrics_prefix.as_deref().unwrap_or(&self.name)));
        let fence = self.fence();
        let (role, roles) = watch::channel(self.first_role());
        let (end, ends) = watch::channel(false);
        let (elected, seat, health) = (self.elected(), self.seat(), self.health());
        let mut until_stopped = ends.clone();
        let held = fence.clone();
        let beside = move || async move {
            if let Some(listener) = probes {
                // Bound before; a listener that is bound is taken over.
                let listener = TcpListener::from_std(listener).expect("a bound listener that does not block");
                tokio::spawn(async move {
                    if let Err(error) = serve::serve(listener, health, registry).await {
                        tracing::error!(%error, "probes and metrics are not served any more");
                    }
                });
            }
            if elected {
                let client = wire::client(config, &agent)?;
                Election::new(client, Clock::system(), seat, held).lead(role, ends).await;
            } else {
                let _ = until_stopped.wait_for(|end| *end).await;
            }
            Ok(())
        };
        let (done, beside_is_done) = tokio::sync::oneshot::channel();
        on_a_thread("lease and probes", beside, done).map_err(Error::Thread)?;
        let ended = self.operate(client, Clock::system(), fence, roles, told_to_stop()).await;
        if ended == Ended::Stopped {
            let _ = end.send(true);
        }
        let beside = beside_is_done.await;
        match (ended, beside) {
            (_, Ok(Err(error))) => Err(Error::Client(error)),
            (Ended::LeaseLost, _) => Err(Error::LeaseLost),
            (Ended::Stopped, _) => Ok(()),
        }
    }

    /// Runs on this thread, by this clock and with this client, until `stop` turns true or the lease is lost: for
    /// simulations, where there is one thread and one order.
    pub async fn run_until(self, client: kube::Client, clock: Clock, mut stop: watch::Receiver<bool>) -> Ended {
        let fence = self.fence();
        let (role, roles) = watch::channel(self.first_role());
        let (end, ends) = watch::channel(false);
        let election = self.elected().then(|| Election::new(client.clone(), clock.clone(), self.seat(), fence.clone()));
        let election = election.map(|election| tokio::spawn(election.lead(role, ends)));
        let stop = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let ended = self.operate(client, clock, fence, roles, stop).await;
        if let Some(election) = election
            && ended == Ended::Stopped
        {
            let _ = end.send(true);
            let _ = election.await;
        }
        ended
    }

    /// The engine runs from the start: a replica that stands by keeps its stores.
    async fn operate(
        self,
        client: kube::Client,
        clock: Clock,
        fence: Fence,
        mut roles: watch::Receiver<Role>,
        stop: impl Future<Output = ()>,
    ) -> Ended {
        let (elected, lease, metrics) = (self.elected(), self.lease_name().to_owned(), self.metrics.clone());
        let (halt, halted) = watch::channel(false);
        let mut namespaces = vec![self.namespace.clone()];
        namespaces.extend(self.also_read_in.into_iter().filter(|one| *one != self.namespace));
        let namespaces = self.own_namespace.iter().map(|kind| (*kind, namespaces.clone())).collect();
        let instance = self.instance.unwrap_or_else(|| self.name.clone());
        let engine = Engine::new(Parts {
            controllers: self.controllers,
            writer: Writer { client, clock, fence, shadow: self.shadow },
            ports: self.ports,
            settings: self.settings.0,
            metrics: metrics.clone(),
            name: self.name,
            instance,
            namespace: self.namespace,
            namespaces,
            records: self.records,
            leads: roles.clone(),
            health: self.health,
        });
        let mut engine = pin!(engine.run(halted));
        let lost = async {
            loop {
                let role = *roles.borrow_and_update();
                if elected {
                    metrics.leads(&lease, role == Role::Leads);
                }
                // Who elects is gone without a word: it does not renew any more.
                let gone = roles.changed().await.is_err() && elected;
                if role == Role::Lost || gone {
                    return;
                }
                if !elected {
                    std::future::pending::<()>().await;
                }
            }
        };
        let ended = tokio::select! {
            biased;
            () = stop => Ended::Stopped,
            () = lost => Ended::LeaseLost,
            () = &mut engine => return Ended::Stopped,
        };
        let _ = halt.send(true);
        engine.await;
        ended
    }

    fn elected(&self) -> bool {
        self.elect && !self.shadow
    }

    fn fence(&self) -> Fence {
        if self.elected() { Fence::closed() } else { Fence::open() }
    }

    fn first_role(&self) -> Role {
        if self.elected() { Role::StandsBy } else { Role::Leads }
    }

    fn lease_name(&self) -> &str {
        self.lease.as_deref().unwrap_or(&self.name)
    }

    fn seat(&self) -> crate::lease::Seat {
        let me = self.instance.as_deref().unwrap_or(&self.name).to_owned();
        crate::lease::Seat { namespace: self.namespace.clone(), name: self.lease_name().to_owned(), me }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Runs a future on a thread of its own, and sends what comes of it.
fn on_a_thread<F>(
    name: &str,
    make: impl FnOnce() -> F + Send + 'static,
    done: tokio::sync::oneshot::Sender<F::Output>,
) -> std::io::Result<()>
where
    F: Future<Output: Send + 'static>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let output = runtime.block_on(async { make().await });
        let _ = done.send(output);
    })?;
    Ok(())
}

async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} },
        Err(_) => drop(interrupt.await),
    }
}
