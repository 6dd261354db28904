//! What a failed connection means: where on the way it ended, and the innermost cause as text. The outer layers of
//! the error are not quoted, because they hold the whole URL.

use std::error::Error as StdError;
use std::io;

use super::error::{Error, Reach};
use super::refusal;

pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> Error {
    let (text, tls) = innermost(error);
    // An error of TLS once the connection stands comes after the request: a mail may have gone out.
    let reason = if tls && error.is_connect() {
        Reach::Tls
    } else if error.is_dns() {
        Reach::Dns
    } else if error.is_connect() {
        Reach::Connect
    } else if error.is_timeout() {
        Reach::Timeout
    } else {
        Reach::Broken
    };
    let text = match reason {
        Reach::Timeout => "no answer in time".to_owned(),
        Reach::Connect if error.is_timeout() => "no connection in time".to_owned(),
        Reach::Dns | Reach::Connect | Reach::Tls | Reach::Broken => refusal::cut(&text),
    };
    Error::Unreachable { host: host.to_owned(), reason, text }
}

/// The text of the last cause, and whether it came from TLS.
fn innermost(error: &reqwest::Error) -> (String, bool) {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    let mut text = "the connection failed".to_owned();
    let mut tls = false;
    while let Some(current) = cause {
        text = current.to_string();
        tls |= current.is::<rustls::Error>();
        // An io::Error hides what it wraps from `source`.
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    (text, tls)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, Stream};

    use super::super::{BaseUrl, Boottime, Client, Connection, Invite, Pace, Role, Timeouts, Token, Traffic};
    use super::*;

    const SERVER: &[u8] = include_bytes!("reach/test-server.pem");

    /// Serves TLS once: reads the request, then goes on with bytes that are no TLS of this connection.
    fn broken_server(garbage: &'static [u8]) -> BaseUrl {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let certificate = CertificateDer::from_pem_slice(SERVER).unwrap();
        let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = BaseUrl::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = serve(ServerConnection::new(Arc::clone(&config)).unwrap(), stream, garbage);
            }
        });
        url
    }

    fn serve(mut tls: ServerConnection, mut stream: TcpStream, garbage: &[u8]) -> io::Result<()> {
        let request = Stream::new(&mut tls, &mut stream).read(&mut [0; 4096])?;
        assert!(request > 0, "the handshake ended and a request came");
        stream.write_all(garbage)?;
        // Until the client has gone, so that it reads the bytes and not the end of the connection.
        stream.read(&mut [0; 4096]).map(drop)
    }

    async fn mail(base_url: BaseUrl, ca_bundle: Option<Vec<u8>>) -> Error {
        let connection = Connection {
            base_url,
            token: Token::parse("sesame-sesame".into()).unwrap(),
            ca_bundle,
            timeouts: Timeouts { mail: Duration::from_secs(20), ..Timeouts::default() },
            traffic: Traffic::default(),
        };
        let emails = ["a@example.com".to_owned()];
        let invite = Invite { emails: &emails, role: &Role::Annotator, workspaces: &[], projects: &[] };
        let client = Client::new(connection, Pace::unlimited()).unwrap();
        client.invite(invite, Boottime::now() + Duration::from_secs(60)).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_error_of_tls_after_the_request_leaves_open_what_became_of_it() {
        // A record that cannot be decrypted, and one that is none at all.
        for garbage in [b"\x17\x03\x03\x00\x200123456789abcdef0123456789abcdef".as_slice(), b"HTTP/1.1 400 Bad\r\n\r\n"]
        {
            let error = mail(broken_server(garbage), Some(SERVER.to_vec())).await;
            assert!(matches!(error, Error::Unreachable { reason: Reach::Broken, .. }), "{error}");
            assert!(error.lost(), "{error}");
        }
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_means_that_nothing_was_sent() {
        let error = mail(broken_server(b""), None).await;
        assert!(matches!(error, Error::Unreachable { reason: Reach::Tls, .. }), "{error}");
        assert!(!error.lost(), "{error}");
    }
}
