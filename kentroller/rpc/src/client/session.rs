//! One stream after the other, as long as somebody may ask.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::mpsc as queue;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Transport};
use tonic::{Code, Request, Status, Streaming};

use super::{Command, Endpoint, NoPlan, Pace, Shared, Tls, dropped};
use crate::v1::client_message::Body as Said;
use crate::v1::plan_service_client::PlanServiceClient;
use crate::v1::server_message::Body as Heard;
use crate::v1::{Ack, Cancel, ClientMessage, Confirm, KeepAlive, Question, Register, Resync, ServerMessage};
use crate::{CLUSTER_ID, LARGEST_ANSWER, LARGEST_PLAN, MISSED, SCHEME, tame};

/// A message that was not acknowledged for so long: the backend does not read.
const UNREAD: Duration = Duration::from_secs(60);
/// What a message has around its question. Unit: bytes, more than enough.
const ENVELOPE: usize = 64;
/// Messages that wait to be sent.
const OUTBOX: usize = 8;

type Reply = mpsc::Sender<Result<Vec<u8>, NoPlan>>;

/// Questions without an answer, by id.
type Open = BTreeMap<String, (Question, Reply)>;

/// Why a stream ended.
enum End {
    /// Nobody can ask any more.
    Done,
    Broken(String),
    /// The backend does not know the cluster or its key.
    KeyRefused(String),
}

/// Keeps a stream until nobody can ask any more.
pub(super) async fn keep(endpoint: &Endpoint, pace: Pace, mut told: queue::Receiver<Command>, shared: &Shared) {
    let mut open = Open::new();
    let mut pause = pace.first;
    loop {
        let confirmed = shared.confirmed.load(Ordering::Relaxed);
        let ended = stream(endpoint, pace, &mut told, &mut open, shared).await;
        shared.connected.store(false, Ordering::Relaxed);
        if shared.confirmed.load(Ordering::Relaxed) > confirmed {
            pause = pace.first;
        }
        let (why, wait) = match ended {
            End::Done => return,
            End::Broken(why) => (why, pause),
            End::KeyRefused(why) => (why, pace.refused),
        };
        shared.broken.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(backend = endpoint.address, "no stream with the backend: {why}");
        *shared.last() = why;
        pause = (pause * 2).min(pace.most);
        if !rest(wait.mul_f64(1.0 + fastrand::f64() / 4.0), &mut told, &mut open).await {
            return;
        }
    }
}

/// Waits, and notes what is asked meanwhile; whether somebody may still ask.
async fn rest(wait: Duration, told: &mut queue::Receiver<Command>, open: &mut Open) -> bool {
    let over = sleep(wait);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return true,
            command = told.recv() => match command {
                Some(Command::Ask(question, reply)) => drop(open.insert(question.question_id.clone(), (*question, reply))),
                Some(Command::Cancel(id)) => drop(open.remove(&id)),
                None => return false,
            },
        }
    }
}

async fn stream(
    endpoint: &Endpoint,
    pace: Pace,
    told: &mut queue::Receiver<Command>,
    open: &mut Open,
    shared: &Shared,
) -> End {
    let opened = timeout(pace.connect, Stream::open(endpoint)).await;
    let mut stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(end)) => return end,
        Err(_) => return End::Broken(format!("no answer within {:?}", pace.connect)),
    };
    shared.confirmed.fetch_add(1, Ordering::Relaxed);
    shared.connected.store(true, Ordering::Relaxed);
    tracing::info!(
        backend = endpoint.address,
        session = stream.limits.session,
        "the backend has confirmed the cluster"
    );
    match stream.run(endpoint, told, open, shared).await {
        Err(end) => end,
        Ok(()) => End::Done,
    }
}

/// A stream that the backend has confirmed.
struct Stream {
    outbox: queue::Sender<ClientMessage>,
    inbox: Streaming<ServerMessage>,
    limits: Confirm,
    /// The metadata that it was opened with.
    authorization: MetadataValue<Ascii>,
    /// Of the last message of each side.
    said: u64,
    heard: u64,
    heard_at: Instant,
    /// Messages that the backend has not acknowledged, and since when.
    unread: BTreeMap<u64, Instant>,
}

impl Stream {
    async fn open(endpoint: &Endpoint) -> Result<Self, End> {
        let authorization = authorization(endpoint)?;
        let cluster = endpoint.cluster_id.parse::<MetadataValue<Ascii>>();
        let cluster = cluster.map_err(|_| End::Broken("CLUSTER_ID has letters that no header may have".to_owned()))?;
        let channel = connect(endpoint).await.map_err(End::Broken)?;
        let mut client = PlanServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        client = client.max_encoding_message_size(usize::MAX);
        let (outbox, sent) = queue::channel(OUTBOX);
        let mut request = Request::new(ReceiverStream::new(sent));
        request.metadata_mut().insert("authorization", authorization.clone());
        request.metadata_mut().insert(CLUSTER_ID, cluster);
        let register = Register { instance: endpoint.instance.clone(), version: endpoint.version.clone() };
        // The request is not answered before its first message is there.
        let first = ClientMessage { id: 1, body: Some(Said::Register(register)) };
        outbox.send(first).await.map_err(|_| End::Broken("the stream has ended".to_owned()))?;
        let mut inbox = client.exchange(request).await.map_err(|status| ended(&status))?.into_inner();
        let first = inbox.message().await.map_err(|status| ended(&status))?;
        let Some(ServerMessage { id: heard, body: Some(Heard::Confirm(limits)) }) = first else {
            return Err(End::Broken("its first message is no Confirm".to_owned()));
        };
        if limits.max_questions == 0 || !(100..=60_000).contains(&limits.keep_alive_ms) {
            return Err(End::Broken(format!(
                "its Confirm is absurd: {} questions at once, a keepalive every {} ms",
                limits.max_questions, limits.keep_alive_ms
            )));
        }
        let limits = Confirm { session: tame(&limits.session, 64), ..limits };
        Ok(Self {
            outbox,
            inbox,
            limits,
            authorization,
            said: 1,
            heard,
            heard_at: Instant::now(),
            unread: BTreeMap::new(),
        })
    }

    /// Until it breaks, or nobody can ask any more.
    async fn run(
        &mut self,
        endpoint: &Endpoint,
        told: &mut queue::Receiver<Command>,
        open: &mut Open,
        shared: &Shared,
    ) -> Result<(), End> {
        let (schedules, open_claims) = shared.standing().clone();
        self.say_acknowledged(Said::Resync(Resync { schedules, open_claims })).await?;
        let ids: Vec<String> = open.keys().cloned().collect();
        for id in ids {
            self.question(&id, open).await?;
        }
        let mut alive = interval(self.every());
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = told.recv() => match command {
                    None => return Ok(()),
                    Some(Command::Ask(question, reply)) => {
                        let id = question.question_id.clone();
                        open.insert(id.clone(), (*question, reply));
                        self.question(&id, open).await?;
                    }
                    Some(Command::Cancel(id)) => if open.remove(&id).is_some() {
                        self.say_acknowledged(Said::Cancel(Cancel { question_id: id })).await?;
                    },
                },
                message = self.inbox.message() => match message {
                    Ok(Some(message)) => self.hear(message, open, shared).await?,
                    Ok(None) => return Err(End::Broken("the backend has ended the stream".to_owned())),
                    Err(status) => return Err(ended(&status)),
                },
                _ = alive.tick() => {
                    self.look(endpoint)?;
                    self.say(Said::KeepAlive(KeepAlive {})).await?;
                }
            }
        }
    }

    fn every(&self) -> Duration {
        Duration::from_millis(self.limits.keep_alive_ms.into())
    }

    /// Whether the backend is there and reads, and the key is still the one that the stream was opened with.
    fn look(&self, endpoint: &Endpoint) -> Result<(), End> {
        let silence = self.heard_at.elapsed();
        if silence > self.every() * MISSED {
            return Err(End::Broken(format!("the backend has said nothing for {silence:?}")));
        }
        if self.unread.values().any(|since| since.elapsed() > UNREAD) {
            return Err(End::Broken(format!("the backend has acknowledged nothing for {UNREAD:?}")));
        }
        if authorization(endpoint).is_ok_and(|now| now != self.authorization) {
            return Err(End::Broken("the key has changed".to_owned()));
        }
        Ok(())
    }

    async fn question(&mut self, id: &str, open: &mut Open) -> Result<(), End> {
        let Some((question, _)) = open.get(id) else { return Ok(()) };
        let bytes = question.encoded_len() + ENVELOPE;
        if u64::try_from(bytes).unwrap_or(u64::MAX) > self.limits.max_message_bytes {
            if let Some((_, reply)) = open.remove(id) {
                let _ = reply.send(Err(NoPlan::TooLarge { bytes, most: self.limits.max_message_bytes }));
            }
            return Ok(());
        }
        let question = question.clone();
        self.say_acknowledged(Said::Question(question)).await
    }

    async fn hear(&mut self, message: ServerMessage, open: &mut Open, shared: &Shared) -> Result<(), End> {
        self.heard_at = Instant::now();
        if message.id <= self.heard {
            shared.drop_message(dropped::OUT_OF_ORDER);
            return Ok(());
        }
        self.heard = message.id;
        let (id, answer) = match message.body {
            Some(Heard::KeepAlive(_)) => return Ok(()),
            Some(Heard::Ack(ack)) => {
                self.unread.remove(&ack.of);
                return Ok(());
            }
            Some(Heard::Plan(plan)) if plan.plan_json.len() > LARGEST_PLAN => {
                shared.drop_message(dropped::TOO_LARGE);
                let message =
                    format!("its plan has {} bytes, and at most {LARGEST_PLAN} are read", plan.plan_json.len());
                (plan.question_id, Err(NoPlan::Refused { reason: "PlanTooLarge".to_owned(), message }))
            }
            Some(Heard::Plan(plan)) => (plan.question_id, Ok(plan.plan_json)),
            Some(Heard::Refusal(refusal)) => {
                let reason = refusal.reason.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                (refusal.question_id, Err(NoPlan::Refused { reason, message: tame(&refusal.message, 4096) }))
            }
            Some(Heard::Confirm(_)) | None => {
                shared.drop_message(dropped::UNEXPECTED);
                return Ok(());
            }
        };
        match open.remove(&id) {
            // Whoever asked may have gone.
            Some((_, reply)) => drop(reply.send(answer)),
            None => shared.drop_message(dropped::NO_SUCH_QUESTION),
        }
        self.say(Said::Ack(Ack { of: message.id })).await
    }

    async fn say_acknowledged(&mut self, body: Said) -> Result<(), End> {
        self.unread.insert(self.said + 1, Instant::now());
        self.say(body).await
    }

    async fn say(&mut self, body: Said) -> Result<(), End> {
        self.said += 1;
        let sent = self.outbox.send(ClientMessage { id: self.said, body: Some(body) });
        match timeout(UNREAD, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => match self.inbox.message().await {
                Err(status) => Err(ended(&status)),
                Ok(_) => Err(End::Broken("the backend has ended the stream".to_owned())),
            },
            Err(_) => Err(End::Broken(format!("nothing could be sent for {UNREAD:?}"))),
        }
    }
}

fn authorization(endpoint: &Endpoint) -> Result<MetadataValue<Ascii>, End> {
    let key = (endpoint.key)().map_err(End::Broken)?;
    let value = format!("{SCHEME}{key}").parse::<MetadataValue<Ascii>>();
    let mut value = value.map_err(|_| End::Broken("the key has letters that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn connect(endpoint: &Endpoint) -> Result<Channel, String> {
    let scheme = if endpoint.tls == Tls::Off { "http" } else { "https" };
    let address = format!("{scheme}://{}", endpoint.address);
    let transport = Transport::from_shared(address).map_err(|error| format!("{:?}: {error}", endpoint.address))?;
    let transport = match &endpoint.tls {
        Tls::Off => transport,
        Tls::System => secured(transport, ClientTlsConfig::new().with_native_roots())?,
        Tls::Authority(file) => {
            let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            secured(transport, ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))?
        }
    };
    transport.connect().await.map_err(|error| causes(&error))
}

fn secured(transport: Transport, tls: ClientTlsConfig) -> Result<Transport, String> {
    transport.tls_config(tls).map_err(|error| causes(&error))
}

fn ended(status: &Status) -> End {
    let message = tame(status.message(), 400);
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            End::KeyRefused(format!("the backend refuses the cluster's key: {message}"))
        }
        code => End::Broken(format!("{code:?}: {message}")),
    }
}

/// An error with everything that it comes from.
fn causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        next = cause.source();
    }
    tame(&told, 400)
}
