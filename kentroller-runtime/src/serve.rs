//! Probes and metrics over HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::operator::Health;

/// Answers `/livez`, `/healthz`, `/readyz` and `/metrics` until the process ends. `/livez` never asks the API server: a
/// restart would not bring it back.
///
/// # Errors
/// The listener is broken.
pub(crate) async fn serve(listener: TcpListener, health: Health, registry: Arc<Registry>) -> std::io::Result<()> {
    answer(listener, Some(health), registry).await
}

/// Answers the same of a process that is no operator: it is alive and ready as long as it answers.
///
/// # Errors
/// The listener is broken.
pub async fn expose(listener: TcpListener, registry: Registry) -> std::io::Result<()> {
    answer(listener, None, Arc::new(registry)).await
}

async fn answer(listener: TcpListener, health: Option<Health>, registry: Arc<Registry>) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (health, registry) = (health.clone(), Arc::clone(&registry));
        let answer = service_fn(move |request: Request<Incoming>| {
            let response = respond(request.uri().path(), health.as_ref(), &registry);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            if let Err(error) =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await
            {
                tracing::debug!(%error, "a connection to the probes broke");
            }
        });
    }
}

fn respond(path: &str, health: Option<&Health>, registry: &Registry) -> Response<Full<Bytes>> {
    let mut body = String::new();
    let status = match path {
        "/livez" | "/healthz" if health.is_none_or(Health::is_alive) => StatusCode::OK,
        "/readyz" if health.is_none_or(Health::is_ready) => StatusCode::OK,
        "/livez" | "/healthz" | "/readyz" => StatusCode::SERVICE_UNAVAILABLE,
        "/metrics" => match prometheus_client::encoding::text::encode(&mut body, registry) {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
        _ => StatusCode::NOT_FOUND,
    };
    if body.is_empty() {
        status.canonical_reason().unwrap_or_default().clone_into(&mut body);
    }
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content = header::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content);
    response
}
