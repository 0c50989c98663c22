//! A backend that says whatever it likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as Blocking};
use std::thread;

use kentroller_rpc::v1::plan_service_server::{PlanService, PlanServiceServer};
use kentroller_rpc::v1::server_message::Body as Said;
use kentroller_rpc::v1::{ClientMessage, Confirm, Plan, Refusal, ServerMessage, client_message};
use kentroller_rpc::{Client, LARGEST_PLAN, NoPlan};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::scene::{ask, client, endpoint, ms, spawn};

/// Confirms with this, and answers a question with these, `ID` in them standing for its id.
#[derive(Clone)]
struct Rogue {
    confirm: Confirm,
    answers: Vec<(u64, Said)>,
}

#[tonic::async_trait]
impl PlanService for Rogue {
    type ExchangeStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<ClientMessage>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (outbox, sent) = mpsc::channel(16);
        let (Self { confirm, answers }, mut inbox) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let say = async |id: u64, body: Said| outbox.send(Ok(ServerMessage { id, body: Some(body) })).await.is_ok();
            say(1, Said::Confirm(confirm)).await;
            while let Some(Ok(message)) = inbox.next().await {
                let Some(client_message::Body::Question(question)) = message.body else { continue };
                for (id, body) in &answers {
                    let mut body = body.clone();
                    match &mut body {
                        Said::Plan(Plan { question_id, .. }) | Said::Refusal(Refusal { question_id, .. })
                            if question_id == "ID" =>
                        {
                            question_id.clone_from(&question.question_id)
                        }
                        _ => {}
                    }
                    say(*id, body).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(sent)))
    }
}

fn confirm() -> Confirm {
    Confirm { session: "s".to_owned(), max_questions: 4, max_message_bytes: 1 << 20, keep_alive_ms: 60_000 }
}

fn start(confirm: Confirm, answers: Vec<(u64, Said)>) -> SocketAddr {
    let service = PlanServiceServer::new(Rogue { confirm, answers }).max_encoding_message_size(usize::MAX);
    let serving = tonic::transport::Server::builder().add_service(service);
    spawn("127.0.0.1:0", async move |listener| {
        serving.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("it serves");
    })
}

fn plan(of: &str, text: &str) -> Said {
    Said::Plan(Plan { question_id: of.to_owned(), plan_json: text.into() })
}

#[test]
fn foreign_duplicate_late_and_unexpected_messages_change_nothing_and_are_counted() {
    let address = start(
        confirm(),
        vec![
            (2, plan("of another cluster", "foreign")),
            (3, Said::Confirm(confirm())),
            (3, plan("ID", "twice the same number")),
            (2, plan("ID", "a number of before")),
            (5, plan("ID", "right")),
            (6, plan("ID", "late")),
            (7, Said::Refusal(Refusal { question_id: "ID".to_owned(), ..Refusal::default() })),
        ],
    );
    let client = client(address);
    assert_eq!(ask(&client, "a"), Ok("right".to_owned()));
    crate::scene::until("all were heard", || client.counts().dropped["no_such_question"] == 3);
    let dropped: Vec<_> = client.counts().dropped.into_iter().collect();
    assert_eq!(dropped, [("no_such_question", 3), ("out_of_order", 2), ("too_large", 0), ("unexpected", 1)]);
    assert_eq!(client.counts().confirmed, 1, "the stream stands");
}

#[test]
fn a_plan_that_is_too_large_is_none() {
    let address = start(confirm(), vec![(2, plan("ID", &"x".repeat(LARGEST_PLAN + 1)))]);
    let client = client(address);
    let Err(NoPlan::Refused { reason, .. }) = ask(&client, "a") else { panic!("it is too large") };
    assert_eq!((reason.as_str(), client.counts().dropped["too_large"]), ("PlanTooLarge", 1));
}

#[test]
fn a_message_of_a_hundred_megabytes_is_not_read() {
    let address = start(confirm(), vec![(2, plan("ID", &"x".repeat(100 << 20)))]);
    let mut pace = crate::scene::QUICK;
    pace.grace = ms(300);
    let client = Client::start(endpoint(&address.to_string()), pace).expect("a thread");
    let mut short = crate::scene::question("a");
    short.time_limit_ms = 300;
    let answer = client.ask(short, &|| false);
    assert!(matches!(answer, Err(NoPlan::Late(_))), "{answer:?}");
    assert!(client.counts().broken > 0);
}

#[test]
fn a_refusal_is_cut_and_obeyed_by_no_terminal() {
    let refusal = Refusal {
        question_id: "ID".to_owned(),
        reason: "Bad\nReason; rm -rf".to_owned(),
        message: format!("\u{1b}[31m{}", "y".repeat(10_000)),
    };
    let address = start(confirm(), vec![(2, Said::Refusal(refusal))]);
    let Err(NoPlan::Refused { reason, message }) = ask(&client(address), "a") else { panic!("it is refused") };
    assert_eq!(reason, "BadReasonrmrf");
    assert!(message.len() <= 4096 && message.starts_with(" [31my"), "{}", &message[..20]);
}

/// What a client says of such a backend.
fn away(address: SocketAddr) -> String {
    let mut pace = crate::scene::QUICK;
    pace.connect = ms(500);
    let client = Client::start(endpoint(&address.to_string()), pace).expect("a thread");
    let Err(NoPlan::Away(why)) = ask(&client, "a") else { panic!("nobody can be asked") };
    why
}

#[test]
fn an_absurd_confirmation_is_none() {
    for confirm in [Confirm { keep_alive_ms: 0, ..confirm() }, Confirm { max_questions: 0, ..confirm() }] {
        let address = start(confirm, vec![]);
        let why = away(address);
        assert!(why.contains("absurd"), "{why}");
    }
}

#[test]
fn a_page_of_html_is_no_backend() {
    let listener = Blocking::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>hello</html>");
        }
    });
    let why = away(address);
    assert!(why.contains("no connection with"), "{why}");
}
