//! Asks a page of `serve.rs` of another process, once: what `helm test` does where an image has no shell and no curl. Plain
//! http, straight to the address: no proxy is on the way to a Pod, and no token goes along.

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For everything: finding the name, connecting, the whole answer.
const WITHIN: Duration = Duration::from_secs(5);
/// The pages are far smaller.
const MOST: usize = 64 * 1024;

/// Why the page does not say that all is well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    #[error("{0:?} is no page to ask: write it like http://127.0.0.1:8081/readyz")]
    NoPage(String),
    #[error("{0} gave no answer within {WITHIN:?}")]
    Silent(String),
    #[error("{0} cannot be asked: {1}")]
    Unreachable(String, Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} answers {1}: {2}")]
    Says(String, StatusCode, String),
}

/// What the page says, if it says 200.
pub async fn probe(url: &str) -> Result<String, Unwell> {
    let page = page_of(url).ok_or_else(|| Unwell::NoPage(url.to_owned()))?;
    let answer = timeout(WITHIN, get(&page)).await.map_err(|_| Unwell::Silent(url.to_owned()))?;
    match answer.map_err(|error| Unwell::Unreachable(url.to_owned(), error))? {
        (StatusCode::OK, text) => Ok(text),
        (status, text) => Err(Unwell::Says(url.to_owned(), status, text.trim_end().to_owned())),
    }
}

fn page_of(url: &str) -> Option<Uri> {
    url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|h| !h.is_empty()))
}

async fn get(page: &Uri) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let host = page.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, page.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = page.path_and_query().map_or("/", |path| path.as_str());
    let authority = page.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path).header(header::HOST, authority).body(Empty::<Bytes>::new())?;
    let ask = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MOST).collect().await?.to_bytes();
        Ok((head.status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The answer is all that is wanted: how the connection ends afterwards is nobody's concern.
    tokio::pin!(ask, connection);
    tokio::select! {
        biased;
        answer = &mut ask => answer,
        broken = &mut connection => {
            broken?;
            ask.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_page_of_an_operator_is_told_so_before_anybody_is_asked() {
        for url in ["", "/readyz", "127.0.0.1:8081", "https://127.0.0.1:8081/readyz", "http://"] {
            assert!(matches!(probe(url).await, Err(Unwell::NoPage(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        drop(listener);
        let error = probe(&url).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{url} cannot be asked: ")), "{error}");
    }
}
