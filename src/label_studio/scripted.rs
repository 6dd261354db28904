//! For the tests of this room only: a server that answers one request after another as a test dictates, and keeps what
//! it was asked. It knows nothing of Label Studio.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::{BaseUrl, Client, Connection, Pace, Timeouts, Token, Traffic};

pub(super) struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query as they came.
    pub(super) target: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// The connection ends without an answer.
    Cut,
    /// Nothing comes for longer than anybody waits.
    Silence,
}

type Script = dyn FnMut(&Asked) -> Reply + Send;

impl Scripted {
    pub(super) fn start(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let (seen, over) = (Arc::clone(&asked), Arc::clone(&ended));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                thread::spawn(move || serve(&stream, &script, &seen));
            }
        });
        Self { address, asked, ended }
    }

    /// Answers from a list, then with an error nobody tries again.
    pub(super) fn replies(replies: Vec<Reply>) -> Self {
        let mut replies = replies.into_iter();
        Self::start(move |_| replies.next().unwrap_or_else(|| Reply::json(418, &serde_json::json!({}))))
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/sub", self.address)
    }

    /// Waits for an answer as long as a busy machine may need: only a test about silence asks for less.
    pub(super) fn client(&self, token: &str) -> Client {
        self.client_that_waits(token, Duration::from_secs(20))
    }

    pub(super) fn client_that_waits(&self, token: &str, wait: Duration) -> Client {
        let timeouts = Timeouts { connect: wait, read: wait, mail: wait };
        Client::new(Connection { timeouts, ..self.connection(token, Traffic::default()) }, Pace::unlimited()).unwrap()
    }

    pub(super) fn connection(&self, token: &str, traffic: Traffic) -> Connection {
        Connection {
            base_url: BaseUrl::parse(&self.url()).unwrap(),
            token: Token::parse(SecretString::from(token)).unwrap(),
            ca_bundle: None,
            timeouts: Timeouts::default(),
            traffic,
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::with_type(status, "application/json", body.to_string().into_bytes())
    }

    pub(super) fn html(status: u16) -> Self {
        Self::with_type(status, "text/html; charset=utf-8", b"<html>a page</html>".to_vec())
    }

    pub(super) fn with_type(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self::Answer { status, headers: vec![("Content-Type", content_type.to_owned())], body }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

fn serve(stream: &TcpStream, script: &Mutex<Script>, seen: &Mutex<Vec<Asked>>) {
    let Some(asked) = read(stream) else { return };
    seen.lock().unwrap().push(asked.clone());
    let reply = (script.lock().unwrap())(&asked);
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                for part in [name, ": ", value.as_ref(), "\r\n"] {
                    head.push_str(part);
                }
            }
            head.push_str("\r\n");
            let mut stream = stream;
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
        Reply::Cut => {}
        Reply::Silence => thread::sleep(Duration::from_secs(60)),
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, target, authorization, body: String::from_utf8(body).ok()? })
}
