//! Requests to the API server: paths, queries, bodies and their content types, in one place. Values; nothing here sends
//! but [`client`], which says how.

use http::{HeaderValue, Method, Response, Uri, header};
use kube::client::ClientBuilder;
use serde_json::Value;
use tower::util::MapResponseLayer;

/// A request as [`kube::Client`] sends it.
pub type Request = http::Request<Vec<u8>>;

/// Reads an object, or a page of a list.
pub fn get(path: &str, query: &[(&str, &str)]) -> Request {
    let mut pairs = query.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    let query = pairs.next().map(|first| pairs.fold(first, |all, pair| format!("{all}&{pair}")));
    bare(Method::GET, &query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
}

/// Creates an object in a collection, or asks a subresource for something.
pub fn post(path: &str, body: &Value) -> Request {
    with_body(Method::POST, path, "application/json", body)
}

/// Replaces an object.
pub fn put(path: &str, body: &Value) -> Request {
    with_body(Method::PUT, path, "application/json", body)
}

/// Merges a patch (RFC 7386) into an object.
pub fn merge(path: &str, patch: &Value) -> Request {
    with_body(Method::PATCH, path, "application/merge-patch+json", patch)
}

/// Deletes an object, as `DeleteOptions` say.
pub fn delete(path: &str, options: &Value) -> Request {
    with_body(Method::DELETE, path, "application/json", options)
}

fn with_body(method: Method, path: &str, content: &'static str, body: &Value) -> Request {
    let mut request = bare(method, path);
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    *request.body_mut() = body.to_string().into_bytes();
    request
}

fn bare(method: Method, path: &str) -> Request {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse::<Uri>().expect("a path is made of constants and escaped words");
    request
}

/// A word as part of a path or query.
pub fn escape(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for byte in word.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

/// A client that says who it is, logs what the API server warns of, and tries nothing twice: kube's own retries repeat 429
/// and 503 of any method, hide for minutes that a disruption budget refuses, and outlive a lease.
///
/// `agent` (`name/version`) stands in audit logs, and its name as the manager of what is written.
///
/// # Errors
/// The configuration does not make a client.
pub fn client(mut config: kube::Config, agent: &str) -> kube::Result<kube::Client> {
    config.default_retry = false;
    let agent = HeaderValue::from_str(agent).map_err(|error| kube::Error::HttpError(error.into()))?;
    config.headers.push((header::USER_AGENT, agent));
    Ok(ClientBuilder::try_from(config)?.with_layer(&MapResponseLayer::new(warned)).build())
}

fn warned<B>(answer: Response<B>) -> Response<B> {
    for warning in answer.headers().get_all(header::WARNING) {
        tracing::warn!(warning = %String::from_utf8_lossy(warning.as_bytes()), "the API server warns");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_makes_a_path_that_parses_and_means_that_word() {
        let odd = "a b/c?d=ü&e%";
        let request =
            get(&format!("/api/v1/nodes/{}", escape(odd)), &[("fieldSelector", "spec.nodeName=a"), ("limit", "5")]);
        let (path, query) = (request.uri().path(), request.uri().query());
        assert_eq!(path, "/api/v1/nodes/a%20b%2Fc%3Fd%3D%C3%BC%26e%25");
        assert_eq!(query, Some("fieldSelector=spec.nodeName%3Da&limit=5"));
        assert_eq!(get("/api/v1/nodes", &[]).uri().to_string(), "/api/v1/nodes");
    }
}
