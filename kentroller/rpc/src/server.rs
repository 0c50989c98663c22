//! The backend's side: many clusters in one process, each with its own key and its own share.

mod connection;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::metadata::MetadataMap;
use tonic::transport::{Identity as Pair, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use self::connection::Connection;
use crate::v1::plan_service_server::{PlanService, PlanServiceServer};
use crate::v1::{ClientMessage, Question, Resync, ServerMessage};
use crate::{CLUSTER_ID, SCHEME};

/// A handshake that has not ended by then is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Streams of one cluster: a replica each, with room for those that have died and are not missed yet.
const STREAMS: usize = 8;
/// Messages that wait to be sent to one client.
const OUTBOX: usize = 16;

/// Knows the keys of clusters.
pub trait Keys: Send + Sync + 'static {
    /// The key of a cluster; `None` if there is no such cluster. Asked at each connection.
    fn key_of(&self, cluster: &str) -> Option<String>;
}

/// Makes plans, and may block its thread.
pub trait Planner: Send + Sync + 'static {
    /// The `plan_json` of an answer.
    ///
    /// # Errors
    /// Why there is none.
    fn plan(&self, cluster: &str, question: &Question, cancelled: &Arc<AtomicBool>) -> Result<Vec<u8>, Refused>;

    /// What stands in a cluster, as its operator has just said.
    fn stands(&self, cluster: &str, standing: &Resync);

    /// A cluster has one stream more, or one less.
    fn streams(&self, cluster: &str, streams: usize);
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A word, letters only.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Refused {
    /// A refusal for this reason.
    pub fn because(reason: &str, message: impl ToString) -> Self {
        Self { reason: reason.to_owned(), message: message.to_string() }
    }
}

/// What one process takes upon itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Questions of one cluster that are open at once; the next is refused. At least 1.
    pub questions: u32,
    /// Questions that are worked on at once, those of one cluster one after the other. At least 1.
    pub workers: usize,
    /// The largest message that is read. Unit: bytes.
    pub message_bytes: usize,
    /// How often each side says that it is there.
    pub keep_alive: Duration,
}

/// The server's certificate with those that vouch for it, and its private key, both PEM.
pub struct Identity {
    /// Certificates.
    pub certificate: Vec<u8>,
    /// The key.
    pub private_key: Vec<u8>,
}

/// Everything that a server is made of.
pub struct Serving {
    /// Who may ask.
    pub keys: Arc<dyn Keys>,
    /// Who answers.
    pub planner: Arc<dyn Planner>,
    /// What is taken on.
    pub limits: Limits,
    /// `None`: without TLS, for a network that nobody else is in.
    pub identity: Option<Identity>,
}

/// Serves until `stop` comes.
///
/// # Errors
/// Certificate and key that cannot be used; a listener that breaks.
pub async fn serve(serving: Serving, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), String> {
    let Serving { keys, planner, limits, identity } = serving;
    let workers = Arc::new(Semaphore::new(limits.workers));
    let service = Service { keys, planner, limits, workers, clusters: Arc::default() };
    let service = PlanServiceServer::new(service).max_decoding_message_size(limits.message_bytes);
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(limits.keep_alive))
        .http2_max_pending_accept_reset_streams(Some(20))
        .initial_stream_window_size(1 << 20)
        .tcp_nodelay(true);
    if let Some(Identity { certificate, private_key }) = identity {
        let tls = ServerTlsConfig::new().identity(Pair::from_pem(certificate, private_key)).timeout(HANDSHAKE);
        server = server.tls_config(tls).map_err(|error| format!("certificate and private key: {error:?}"))?;
    }
    let connections = TcpListenerStream::new(listener);
    let served = server.add_service(service).serve_with_incoming_shutdown(connections, stop);
    served.await.map_err(|error| error.to_string())
}

/// What the connections of a cluster share.
struct Cluster {
    streams: usize,
    /// One question of a cluster at a time, so that none takes the place of others.
    turn: Arc<Semaphore>,
}

type Clusters = Arc<Mutex<BTreeMap<String, Cluster>>>;

struct Service {
    keys: Arc<dyn Keys>,
    planner: Arc<dyn Planner>,
    limits: Limits,
    workers: Arc<Semaphore>,
    clusters: Clusters,
}

impl Service {
    /// The cluster that these metadata prove to be.
    fn cluster(&self, metadata: &MetadataMap) -> Result<String, Status> {
        let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
        let wrong = || {
            Status::unauthenticated(format!(
                "no cluster with this {CLUSTER_ID} and this key in authorization ({SCHEME}KEY)"
            ))
        };
        let cluster = text(CLUSTER_ID).filter(|id| is_cluster_id(id)).ok_or_else(wrong)?;
        let given = text("authorization").and_then(|value| value.strip_prefix(SCHEME)).ok_or_else(wrong)?;
        let known = self.keys.key_of(cluster).filter(|known| !known.is_empty()).ok_or_else(wrong)?;
        // How long it takes tells nothing of how much of a key was right.
        if Sha256::digest(known.as_bytes()) == Sha256::digest(given.as_bytes()) {
            Ok(cluster.to_owned())
        } else {
            Err(wrong())
        }
    }

    /// One stream more of a cluster.
    fn enter(&self, cluster: &str) -> Result<Entered, Status> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Cluster { streams: 0, turn: Arc::new(Semaphore::new(1)) };
        let entry = clusters.entry(cluster.to_owned()).or_insert_with(new);
        if entry.streams >= STREAMS {
            return Err(Status::resource_exhausted(format!("cluster {cluster} has {STREAMS} streams already")));
        }
        entry.streams += 1;
        self.planner.streams(cluster, entry.streams);
        let (clusters, planner) = (Arc::clone(&self.clusters), Arc::clone(&self.planner));
        Ok(Entered { cluster: cluster.to_owned(), turn: Arc::clone(&entry.turn), clusters, planner })
    }
}

/// The letters that ids of clusters have: they are names of files.
pub(crate) fn is_cluster_id(id: &str) -> bool {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    (1..=128).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with('.')
}

/// A stream of a cluster, counted until it is dropped.
struct Entered {
    cluster: String,
    turn: Arc<Semaphore>,
    clusters: Clusters,
    planner: Arc<dyn Planner>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let left = clusters.get_mut(&self.cluster).map_or(0, |entry| {
            entry.streams -= 1;
            entry.streams
        });
        if left == 0 {
            clusters.remove(&self.cluster);
        }
        self.planner.streams(&self.cluster, left);
    }
}

#[tonic::async_trait]
impl PlanService for Service {
    type ExchangeStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<ClientMessage>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let cluster = self.cluster(request.metadata())?;
        let entered = self.enter(&cluster)?;
        let (outbox, sent) = mpsc::channel(OUTBOX);
        let connection =
            Connection::new(entered, Arc::clone(&self.planner), self.limits, Arc::clone(&self.workers), outbox);
        tokio::spawn(connection.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(sent)))
    }
}

#[cfg(test)]
mod tests {
    use super::is_cluster_id;

    #[test]
    fn an_id_that_is_a_path_is_no_cluster() {
        for (id, wanted) in [
            ("2f1c6e3a-0d52-4b8e-9f5a-1c7f1f6f4d10", true),
            ("prod.eu_1", true),
            ("", false),
            ("../keys", false),
            ("..", false),
            ("a/b", false),
            ("a\0", false),
        ] {
            assert_eq!(is_cluster_id(id), wanted, "{id}");
        }
    }
}
