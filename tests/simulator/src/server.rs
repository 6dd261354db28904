//! The sockets. Connections are handled here and not by a framework, since a cut connection must close without a single byte
//! of an answer.

use crate::answer::{Answer, Body};
use crate::call::Call;
use crate::control;
use crate::dispatch::{Outcome, dispatch};
use crate::shared::Shared;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Runs until its task is aborted; every connection ends with it.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of file descriptors, or a client gone at once: the next one may fare better.
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    // An error is a client gone or a cut that was asked for; neither is news.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error here makes hyper close the connection without an answer.
async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(io::ErrorKind::ConnectionReset.into()) };
    let body = body.to_bytes().to_vec();
    let query = parts.uri.query().unwrap_or_default();
    let path = parts.uri.path();
    if path.starts_with("/simulator/") {
        let call = Call::new(parts.method.as_str(), path, query, parts.headers, body);
        return Ok(rendered(control::answer(&shared, &call)));
    }
    let outcome = {
        let mut state = shared.state();
        let Some(below) = below(path, &state.sub_path) else { return Ok(rendered(Answer::page_not_found())) };
        let call = Call::new(parts.method.as_str(), below, query, parts.headers, body);
        let (outcome, entry) = dispatch(&mut state, &call);
        shared.record(entry);
        outcome
    };
    match outcome {
        Outcome::Answer(answer, delay) => {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            Ok(rendered(answer))
        }
        Outcome::Cut => Err(io::ErrorKind::ConnectionReset.into()),
        Outcome::Hang => std::future::pending().await,
    }
}

fn below<'a>(path: &'a str, sub_path: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(sub_path)?;
    if rest.is_empty() { Some("/") } else { Some(rest).filter(|rest| rest.starts_with('/')) }
}

fn rendered(answer: Answer) -> Response<Full<Bytes>> {
    let (kind, body) = match answer.body {
        Body::Nothing => (None, Bytes::new()),
        Body::Json(value) => (Some("application/json"), Bytes::from(value.to_string())),
        Body::Html(text) => (Some("text/html; charset=utf-8"), Bytes::from(text)),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert("content-type", HeaderValue::from_static(kind));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    response
}
