//! Requests and their answers: signed, timed, and asked again where that may help.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use crate::answer;
use crate::call::{Call, Service};
use crate::error::{Error, Refusal};
use crate::place::Place;
use crate::retry::{ATTEMPTS, Pace};

/// How long one answer may take, its last byte included.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// A reading ends here although there is a next page: no list of AWS is as long.
const MOST_PAGES: u32 = 200;

/// TLS as everywhere in this program: rustls on ring, and the authorities of the operating system.
pub(crate) fn tls() -> tls::Provider {
    tls::Provider::Rustls(CryptoMode::Ring)
}

/// The services of a region, for one reading.
#[derive(Debug)]
pub(crate) struct Connection {
    connector: Connector,
    credentials: Credentials,
    ec2: Place,
    pricing: Place,
    pace: Cell<Pace>,
    /// How far the clock of AWS is before ours.
    ahead: Cell<SignedDuration>,
    requests: Cell<u32>,
}

/// Why an attempt failed.
enum Fault {
    /// Nothing that AWS said: it may go better next time.
    Broken(String),
    /// What AWS says instead of an answer.
    Refused(Refusal),
    /// No answer of AWS at all.
    Foreign(String),
}

impl Connection {
    pub(crate) fn new(region: &str, credentials: Credentials) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        Self {
            connector: Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(tls()).build(),
            credentials,
            ec2: Place::of(Service::Ec2, region, &env),
            pricing: Place::of(Service::Pricing, region, &env),
            pace: Cell::default(),
            ahead: Cell::default(),
            requests: Cell::default(),
        }
    }

    /// How many requests were sent so far.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// All rows of a call, page by page. `body` makes the text of a request of the token of its page.
    pub(crate) async fn rows<T: DeserializeOwned>(
        &self,
        call: Call,
        body: impl Fn(&str) -> String,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut token) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let text = self.ask(call, &body(&token)).await?;
            let (rows, next) = answer::page(call, &text).map_err(|cause| self.unreadable(call, cause))?;
            all.extend(rows);
            if next.is_empty() {
                return Ok(all);
            }
            if next == token {
                return Err(self.unreadable(call, "the token of the next page is that of this one".to_owned()));
            }
            token = next;
        }
        Err(self.unreadable(call, format!("more than {MOST_PAGES} pages")))
    }

    /// One answer, asked for again as often as it may help.
    async fn ask(&self, call: Call, body: &str) -> Result<String, Error> {
        let mut cause = String::new();
        for attempt in 1..=ATTEMPTS {
            sleep(self.pace.get().before(attempt, fastrand::f64())).await;
            match self.send(call, body).await {
                Ok(text) => return Ok(text),
                Err(Fault::Broken(why)) => cause = why,
                Err(Fault::Foreign(why)) => return Err(self.unreadable(call, why)),
                Err(Fault::Refused(refusal)) if refusal.is_throttling() => {
                    self.pace.set(self.pace.get().slower());
                    cause = format!("{}: {}", refusal.code, refusal.message);
                }
                // The signature was made for the time that the answer told; the next one is for that of AWS.
                Err(Fault::Refused(refusal)) if refusal.is_about_time() && attempt == 1 => cause = refusal.message,
                Err(Fault::Refused(refusal)) => return Err(refusal.into_error(call)),
            }
        }
        let endpoint = self.place(call).endpoint.clone();
        Err(Error::Unavailable { action: call.action(), endpoint, attempts: ATTEMPTS, cause })
    }

    async fn send(&self, call: Call, body: &str) -> Result<String, Fault> {
        let request = self.signed(call, body).map_err(Fault::Foreign)?;
        self.requests.set(self.requests.get() + 1);
        let exchange = async {
            let answer = self.connector.call(request).await.map_err(|error| Fault::Broken(causes(&error)))?;
            let (status, date) = (answer.status(), answer.headers().get("date").map(str::to_owned));
            let cut_off = |error| Fault::Broken(format!("the answer is cut off: {error}"));
            let body = answer.into_body().collect().await.map_err(cut_off)?.to_bytes();
            Ok((status, date, body))
        };
        let late = |_| Fault::Broken(format!("no whole answer within {} s", TIME_LIMIT.as_secs()));
        let (status, date, body) = timeout(TIME_LIMIT, exchange).await.map_err(late)??;
        let text = String::from_utf8(body.into()).map_err(|_| Fault::Foreign("it is no UTF-8".to_owned()))?;
        if status.is_success() {
            return Ok(text);
        }
        let refusal = answer::refusal(call.service(), &text);
        match refusal {
            Some(refusal) => {
                if refusal.is_about_time() {
                    self.set_clock(date.as_deref());
                }
                Err(Fault::Refused(refusal))
            }
            None if status.is_server_error() || status.as_u16() == 429 => {
                Err(Fault::Broken(format!("HTTP status {}", status.as_u16())))
            }
            None => Err(Fault::Foreign(format!("HTTP status {} without a reason", status.as_u16()))),
        }
    }

    /// The request, signed for the time of AWS.
    fn signed(&self, call: Call, body: &str) -> Result<HttpRequest, String> {
        let place = self.place(call);
        let address = format!("{}/", place.endpoint);
        let headers = match call.service() {
            Service::Ec2 => vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())],
            Service::Pricing => vec![
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", format!("AWSPriceListService.{}", call.word())),
            ],
        };
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&place.signed_for)
            .name(call.service().word())
            .time(self.now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let named = headers.iter().map(|(name, value)| (*name, &**value));
        let signable = SignableRequest::new("POST", &*address, named, SignableBody::Bytes(body.as_bytes()));
        let signed = signable.and_then(|signable| sign(signable, &parameters)).map_err(|error| error.to_string())?;
        let mut request = http::Request::post(&address);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(SdkBody::from(body)).map_err(|error| error.to_string())?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).map_err(|error| error.to_string())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a signature is for five minutes of the time that it is, and nothing else is asked of it"
    )]
    fn now(&self) -> SystemTime {
        let ahead = self.ahead.get();
        let now = SystemTime::now();
        if ahead.is_negative() { now - ahead.unsigned_abs() } else { now + ahead.unsigned_abs() }
    }

    /// Takes the time of AWS from the head of its answer.
    fn set_clock(&self, date: Option<&str>) {
        let told = date.and_then(|date| rfc2822::parse(&date.replace("GMT", "+0000")).ok());
        let ours = jiff::Timestamp::try_from(self.now());
        if let (Some(told), Ok(ours)) = (told, ours) {
            self.ahead.set(self.ahead.get() + told.timestamp().duration_since(ours));
        }
    }

    fn place(&self, call: Call) -> &Place {
        match call.service() {
            Service::Ec2 => &self.ec2,
            Service::Pricing => &self.pricing,
        }
    }

    fn unreadable(&self, call: Call, cause: String) -> Error {
        Error::Unreadable { action: call.action(), endpoint: self.place(call).endpoint.clone(), cause }
    }
}

/// An error with its causes: the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
