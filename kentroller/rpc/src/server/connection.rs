//! One stream of one cluster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::{Duration, MissedTickBehavior, interval, timeout};
use tonic::{Status, Streaming};

use super::{Entered, Limits, Planner, Refused};
use crate::v1::client_message::Body as Heard;
use crate::v1::server_message::Body as Said;
use crate::v1::{Ack, ClientMessage, Confirm, KeepAlive, Plan, Question, Refusal, ServerMessage};
use crate::{LARGEST_PLAN, MISSED, tame};

/// How long a client may take to say who it is.
const REGISTER: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(60);

/// What is sent, numbered in the order in which it is sent.
#[derive(Clone)]
struct Outbox(Arc<Mutex<Numbered>>);

struct Numbered {
    /// Of the last message.
    last: u64,
    to: mpsc::Sender<Result<ServerMessage, Status>>,
}

impl Outbox {
    /// Whether it could be sent.
    async fn say(&self, body: Said) -> bool {
        let mut guarded = self.0.lock().await;
        guarded.last += 1;
        let message = ServerMessage { id: guarded.last, body: Some(body) };
        matches!(timeout(STUCK, guarded.to.send(Ok(message))).await, Ok(Ok(())))
    }

    async fn end(&self, status: Status) {
        let guarded = self.0.lock().await;
        let _ = timeout(STUCK, guarded.to.send(Err(status))).await;
    }
}

/// Open questions, each with what its maker looks at to know whether anybody waits.
type Open = Arc<std::sync::Mutex<BTreeMap<String, Arc<AtomicBool>>>>;

pub(super) struct Connection {
    entered: Entered,
    planner: Arc<dyn Planner>,
    limits: Limits,
    workers: Arc<Semaphore>,
    outbox: Outbox,
    open: Open,
}

impl Connection {
    pub(super) fn new(
        entered: Entered,
        planner: Arc<dyn Planner>,
        limits: Limits,
        workers: Arc<Semaphore>,
        outbox: mpsc::Sender<Result<ServerMessage, Status>>,
    ) -> Self {
        let outbox = Outbox(Arc::new(Mutex::new(Numbered { last: 0, to: outbox })));
        Self { entered, planner, limits, workers, outbox, open: Open::default() }
    }

    /// Until the client goes. What was asked and not answered is cancelled then.
    pub(super) async fn run(self, inbox: Streaming<ClientMessage>) {
        let cluster = self.entered.cluster.clone();
        if let Err(status) = self.exchange(inbox).await {
            tracing::info!(cluster, "a stream ended: {}", tame(status.message(), 200));
            self.outbox.end(status).await;
        }
        for cancelled in self.open().values() {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    async fn exchange(&self, mut inbox: Streaming<ClientMessage>) -> Result<(), Status> {
        let late = |_| Status::deadline_exceeded("no Register came");
        let first = timeout(REGISTER, inbox.message()).await.map_err(late)??;
        let Some(ClientMessage { id: mut last, body: Some(Heard::Register(register)) }) = first else {
            return Err(Status::failed_precondition("the first message is Register"));
        };
        let session = session();
        let (instance, version) = (tame(&register.instance, 253), tame(&register.version, 64));
        tracing::info!(cluster = self.entered.cluster, instance, version, session, "a cluster has registered");
        self.say(Said::Confirm(Confirm {
            session,
            max_questions: self.limits.questions,
            max_message_bytes: self.limits.message_bytes.try_into().unwrap_or(u64::MAX),
            keep_alive_ms: self.limits.keep_alive.as_millis().try_into().unwrap_or(60_000),
        }))
        .await?;
        let mut alive = interval(self.limits.keep_alive);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            tokio::select! {
                message = inbox.message() => {
                    let Some(message) = message? else { return Ok(()) };
                    silent = 0;
                    if message.id <= last {
                        return Err(Status::failed_precondition(format!("message {} came after {last}", message.id)));
                    }
                    last = message.id;
                    self.hear(message).await?;
                }
                _ = alive.tick() => {
                    silent += 1;
                    if silent > MISSED {
                        return Err(Status::deadline_exceeded("nothing was heard for three keepalives"));
                    }
                    self.say(Said::KeepAlive(KeepAlive {})).await?;
                }
            }
        }
    }

    async fn say(&self, body: Said) -> Result<(), Status> {
        if self.outbox.say(body).await { Ok(()) } else { Err(Status::cancelled("the client has gone")) }
    }

    async fn hear(&self, message: ClientMessage) -> Result<(), Status> {
        match message.body {
            Some(Heard::KeepAlive(_) | Heard::Ack(_)) => return Ok(()),
            Some(Heard::Register(_)) => return Err(Status::failed_precondition("Register came a second time")),
            None => return Err(Status::invalid_argument("a message without a body that this version knows")),
            Some(Heard::Resync(standing)) => {
                self.planner.stands(&self.entered.cluster, &standing);
            }
            Some(Heard::Cancel(cancel)) => {
                if let Some(cancelled) = self.open().remove(&cancel.question_id) {
                    cancelled.store(true, Ordering::Relaxed);
                }
            }
            Some(Heard::Question(question)) => self.question(question).await?,
        }
        self.say(Said::Ack(Ack { of: message.id })).await
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<AtomicBool>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to answer a question, unless it is open already.
    async fn question(&self, question: Question) -> Result<(), Status> {
        let id = question.question_id.clone();
        if !(1..=128).contains(&id.len()) || question.seed.len() > 256 || question.time_limit_ms > 600_000 {
            let refused = Refused::because("QuestionInvalid", "question_id, seed or time_limit_ms is out of its range");
            return self.say(answer(tame(&id, 128), Err(refused))).await;
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let has_room = {
            let mut open = self.open();
            if open.contains_key(&id) {
                return Ok(());
            }
            let has_room = open.len() < usize::try_from(self.limits.questions).unwrap_or(usize::MAX);
            if has_room {
                open.insert(id.clone(), Arc::clone(&cancelled));
            }
            has_room
        };
        if !has_room {
            let message = format!("{} questions of this cluster are open already", self.limits.questions);
            return self.say(answer(id, Err(Refused::because("TooManyQuestions", message)))).await;
        }
        let (turn, workers) = (Arc::clone(&self.entered.turn), Arc::clone(&self.workers));
        let (planner, outbox, open) = (Arc::clone(&self.planner), self.outbox.clone(), Arc::clone(&self.open));
        let cluster = self.entered.cluster.clone();
        tokio::spawn(async move {
            // Its own turn first: whoever waits for another question of its cluster takes no worker.
            let (Ok(_turn), Ok(_worker)) = (turn.acquire_owned().await, workers.acquire_owned().await) else { return };
            if cancelled.load(Ordering::Relaxed) {
                return;
            }
            let asked = Arc::clone(&cancelled);
            let made = tokio::task::spawn_blocking(move || planner.plan(&cluster, &question, &asked)).await;
            let made = made
                .unwrap_or_else(|_| Err(Refused::because("PlannerPanicked", "the planner broke; its log tells more")));
            let is_open = {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                // Cancelled and asked anew, it is another one's.
                let is_it = open.get(&id).is_some_and(|one| Arc::ptr_eq(one, &cancelled));
                is_it && open.remove(&id).is_some()
            };
            if is_open {
                outbox.say(answer(id, made)).await;
            }
        });
        Ok(())
    }
}

fn answer(question_id: String, made: Result<Vec<u8>, Refused>) -> Said {
    let large = |plan: Vec<u8>| {
        if plan.len() <= LARGEST_PLAN {
            Ok(plan)
        } else {
            Err(Refused::because("PlanTooLarge", "the plan is larger than 4 MiB"))
        }
    };
    match made.and_then(large) {
        Ok(plan_json) => Said::Plan(Plan { question_id, plan_json }),
        Err(Refused { reason, message }) => {
            Said::Refusal(Refusal { question_id, reason, message: tame(&message, 4096) })
        }
    }
}

/// A name of a stream, for logs.
fn session() -> String {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{:08x}", STREAMS.fetch_add(1, Ordering::Relaxed), fastrand::u32(..))
}
