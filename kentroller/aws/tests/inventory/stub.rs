//! A server of the test's own on loopback: what it is asked is kept, what it answers is the test's matter.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request, as far as tests look at it.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// Lines of the head, in lower case.
    pub head: String,
    pub body: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    /// More lines of the head.
    pub head: String,
    /// The connection ends after so many bytes of the body.
    pub cut_after: Option<usize>,
}

impl Reply {
    pub fn ok(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into(), head: String::new(), cut_after: None }
    }

    /// An error as EC2 writes it.
    pub fn refused(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}\
             </Message></Error></Errors><RequestID>1</RequestID></Response>"
        );
        Self { status, ..Self::ok(body) }
    }
}

impl Request {
    /// The call that it makes.
    pub fn call(&self) -> String {
        let target = self.head.lines().find_map(|line| line.strip_prefix("x-amz-target: awspricelistservice."));
        match target {
            Some("getproducts") => "GetProducts".to_owned(),
            Some(other) => other.to_owned(),
            None => self.field("Action"),
        }
    }

    /// The field of a form; empty without one.
    pub fn field(&self, name: &str) -> String {
        let fields = self.body.split('&').filter_map(|pair| pair.split_once('='));
        fields.filter(|(field, _)| *field == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
    }
}

/// The server; it runs until the test's process ends.
pub struct Stub {
    pub address: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Stub {
    /// `answer` gets each request and how many came before it.
    pub fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (asked, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let keeps = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, answer) = (Arc::clone(&keeps), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.expect("a connection"), &asked, &*answer));
            }
        });
        Self { address, asked }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    /// How often a call came.
    pub fn count(&self, call: &str) -> usize {
        self.asked().iter().filter(|request| request.call() == call).count()
    }
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request, usize) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let before = {
            let mut asked = asked.lock().expect("nobody panicked");
            asked.push(request.clone());
            asked.len() - 1
        };
        let reply = answer(&request, before);
        let end = reply.cut_after.unwrap_or(reply.body.len());
        let head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n{}\r\n", reply.status, reply.body.len(), reply.head);
        let sent = writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&reply.body.as_bytes()[..end]));
        if sent.is_err() || reply.cut_after.is_some() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let head = head.to_lowercase().replace('\r', "");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, head, body: String::from_utf8(body).expect("UTF-8") })
}
