//! The operator's side: asks questions from any thread, while one thread of its own keeps the stream.

mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc as queue;

use crate::v1::{Question, Standing};

/// Tells the key at the moment: it is asked at each connection, and again with each keepalive.
///
/// # Errors
/// Why there is none, without the key.
pub type KeySource = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// The most commands that wait for the thread that keeps the stream.
const QUEUE: usize = 16;
/// How often a question looks whether somebody still waits for its answer.
const LOOK: Duration = Duration::from_millis(50);

/// Where a backend is, and as whom it is asked.
#[derive(Clone)]
pub struct Endpoint {
    /// Host and port, such as `grpc.example.com:443`.
    pub address: String,
    /// How the connection is secured.
    pub tls: Tls,
    /// The cluster, as the backend knows it.
    pub cluster_id: String,
    /// The cluster's key.
    pub key: KeySource,
    /// The name of this replica.
    pub instance: String,
    /// The version of this program.
    pub version: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, tls, cluster_id, instance, .. } = self;
        write!(f, "Endpoint({address}, {tls:?}, cluster {cluster_id}, {instance})")
    }
}

/// How a connection is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: who is on the way reads key and cluster.
    Off,
    /// By a certificate that an authority of this machine vouches for.
    System,
    /// By a certificate that an authority of this PEM file vouches for, and no other. The file is read at each connection.
    Authority(PathBuf),
}

/// How long is waited between tries, and for a connection.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first break; each further one doubles it. A quarter of it at most is chance.
    pub first: Duration,
    /// It grows no further than this.
    pub most: Duration,
    /// After the backend has refused the key.
    pub refused: Duration,
    /// How long a try may take, and how long a question waits for a connection.
    pub connect: Duration,
    /// How long after the time limit of a question its answer is waited for.
    pub grace: Duration,
}

impl Default for Pace {
    /// From a second to half a minute; a minute after a refused key.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(1), most: seconds(30), refused: seconds(60), connect: seconds(15), grace: seconds(60) }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// There is no connection; what the last try ended with.
    #[error("{0}")]
    Away(String),
    /// The backend says no.
    #[error("the backend refuses: {reason}: {message}")]
    Refused {
        /// Its word for it, letters only.
        reason: String,
        /// For people.
        message: String,
    },
    /// No answer came in time.
    #[error("the backend has not answered within {0:?}")]
    Late(Duration),
    /// The question is larger than the backend reads.
    #[error("the question has {bytes} bytes, and the backend reads at most {most}")]
    TooLarge {
        /// Of the question.
        bytes: usize,
        /// What the backend reads.
        most: u64,
    },
    /// Whoever asked has gone.
    #[error("nobody waits for the answer any more")]
    Cancelled,
}

/// What has happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whether there is a confirmed stream now.
    pub connected: bool,
    /// Streams that were confirmed.
    pub confirmed: u64,
    /// Tries that failed and streams that broke.
    pub broken: u64,
    /// Messages of the backend that changed nothing, by why.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// The messages that are dropped, by why.
pub(crate) mod dropped {
    /// No question of this id is open: it is late, answered already, or of another cluster.
    pub(crate) const NO_SUCH_QUESTION: &str = "no_such_question";
    /// Its id is not above that of the message before: it came twice or in another order.
    pub(crate) const OUT_OF_ORDER: &str = "out_of_order";
    /// A plan of more than [`crate::LARGEST_PLAN`] bytes.
    pub(crate) const TOO_LARGE: &str = "too_large";
    /// A message that has no place where it stands.
    pub(crate) const UNEXPECTED: &str = "unexpected";
    /// All of them.
    pub(crate) const ALL: [&str; 4] = [NO_SUCH_QUESTION, OUT_OF_ORDER, TOO_LARGE, UNEXPECTED];
}

/// What a client and its thread share.
#[derive(Default)]
struct Shared {
    connected: AtomicBool,
    confirmed: AtomicU64,
    broken: AtomicU64,
    dropped: [AtomicU64; dropped::ALL.len()],
    /// What the last try ended with.
    last: Mutex<String>,
    /// What stands in the cluster: schedules, then open claims.
    standing: Mutex<(Vec<Standing>, Vec<Standing>)>,
}

impl Shared {
    fn drop_message(&self, why: &'static str) {
        if let Some(at) = dropped::ALL.iter().position(|one| *one == why) {
            self.dropped[at].fetch_add(1, Ordering::Relaxed);
        }
        tracing::warn!(why, "a message of the backend was dropped");
    }

    fn last(&self) -> MutexGuard<'_, String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, (Vec<Standing>, Vec<Standing>)> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread is told.
enum Command {
    Ask(Box<Question>, mpsc::Sender<Result<Vec<u8>, NoPlan>>),
    Cancel(String),
}

/// A backend. Dropping it ends the stream.
pub struct Client {
    commands: queue::Sender<Command>,
    shared: Arc<Shared>,
    pace: Pace,
    address: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

impl Client {
    /// Begins to connect, in a thread of its own, and goes on as long as the client lives. Returns at once.
    ///
    /// # Errors
    /// No thread, or no timer for it.
    pub fn start(endpoint: Endpoint, pace: Pace) -> std::io::Result<Self> {
        let (commands, told) = queue::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let address = endpoint.address.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of_thread = Arc::clone(&shared);
        let keep = move || runtime.block_on(session::keep(&endpoint, pace, told, &of_thread));
        std::thread::Builder::new().name("backend".to_owned()).spawn(keep)?;
        Ok(Self { commands, shared, pace, address })
    }

    /// Asks, and waits for the answer as long as the question's time limit and the pace have it. Blocks its thread.
    ///
    /// # Errors
    /// Why there is no plan.
    pub fn ask(&self, question: Question, is_cancelled: &dyn Fn() -> bool) -> Result<Vec<u8>, NoPlan> {
        let (answer, answered) = mpsc::channel();
        let id = question.question_id.clone();
        let limit = Duration::from_millis(question.time_limit_ms.into()) + self.pace.grace;
        let begun = Instant::now();
        if self.commands.try_send(Command::Ask(Box::new(question), answer)).is_err() {
            return Err(NoPlan::Away(format!("{}: more questions wait than {QUEUE}", self.address)));
        }
        let mut connected = None;
        loop {
            match answered.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(NoPlan::Away("the client has ended".to_owned())),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.shared.connected.load(Ordering::Relaxed) {
                connected.get_or_insert_with(Instant::now);
            }
            let why = match connected {
                _ if is_cancelled() => NoPlan::Cancelled,
                None if begun.elapsed() >= self.pace.connect => NoPlan::Away(self.told()),
                Some(since) if since.elapsed() >= limit => NoPlan::Late(limit),
                _ => continue,
            };
            // If the queue is full it stays open there until its answer comes, which nobody reads.
            let _ = self.commands.try_send(Command::Cancel(id));
            return Err(why);
        }
    }

    /// Says what stands in the cluster: its schedules, and the claims that have not ended. It is told at each connection.
    pub fn stands(&self, schedules: Vec<Standing>, open_claims: Vec<Standing>) {
        *self.shared.standing() = (schedules, open_claims);
    }

    /// What has happened since the start.
    pub fn counts(&self) -> Counts {
        let read = |one: &AtomicU64| one.load(Ordering::Relaxed);
        Counts {
            connected: self.shared.connected.load(Ordering::Relaxed),
            confirmed: read(&self.shared.confirmed),
            broken: read(&self.shared.broken),
            dropped: dropped::ALL.into_iter().zip(self.shared.dropped.iter().map(read)).collect(),
        }
    }

    fn told(&self) -> String {
        let last = self.shared.last().clone();
        let why = if last.is_empty() { "it has not answered yet" } else { &last };
        format!("no connection with {}: {why}", self.address)
    }
}
