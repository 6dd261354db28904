//! The pages that the cluster asks of this process: whether it lives, whether it is ready, its figures. Plain http/1, read
//! only, and nothing secret is on any of them.

use super::metrics::figures_page;
use super::station::Station;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What an address serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pages {
    /// `/livez` and `/readyz`.
    Health,
    /// `/metrics`.
    Figures,
}

/// Connections at once, of each address; whoever comes later waits.
const MOST: usize = 32;
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long everything may take, until the last byte of the answer is read.
const CONVERSATION: Duration = Duration::from_secs(30);

/// Serves until its task ends. Fails at once if the address cannot be had.
pub async fn serve(address: SocketAddr, pages: Pages, station: Arc<Station>) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, ?pages, "serving");
    tokio::spawn(accept(listener, pages, station));
    Ok(())
}

async fn accept(listener: TcpListener, pages: Pages, station: Arc<Station>) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let station = Arc::clone(&station);
                tokio::spawn(async move {
                    converse(stream, pages, station).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Such as too many open files: a moment later there may be room.
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, pages: Pages, station: Arc<Station>) {
    let service = service_fn(|request: Request<Incoming>| {
        let station = Arc::clone(&station);
        async move { Ok::<_, Infallible>(answer(request.method(), request.uri().path(), pages, &station)) }
    });
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVAL)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever does not read the answer gives up the place as well.
    match timeout(CONVERSATION, talk).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a conversation broke off"),
        Err(_) => tracing::debug!("a conversation took too long"),
    }
}

fn answer(method: &Method, path: &str, pages: Pages, station: &Station) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
    }
    match (pages, path) {
        (Pages::Health, "/livez") => page(StatusCode::OK, TEXT, "alive\n".to_owned()),
        (Pages::Health, "/readyz") => match station.readiness() {
            Ok(text) => page(StatusCode::OK, TEXT, text),
            Err(text) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text),
        },
        (Pages::Figures, "/metrics") => match figures_page(station) {
            Ok(text) => page(StatusCode::OK, OPEN_METRICS, text),
            Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        _ => page(StatusCode::NOT_FOUND, TEXT, "there is no such page\n".to_owned()),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_and_does_not_read_the_answer_is_let_go_of() {
        // Too small for the page.
        let (mut theirs, ours) = duplex(64);
        let conversation = tokio::spawn(converse(ours, Pages::Figures, Arc::new(Station::new())));
        theirs.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // By a clock that runs ahead while everybody waits.
        timeout(CONVERSATION * 2, conversation).await.unwrap().unwrap();
    }
}
