//! `doctor` where the way to the server is in question: what the URL, the network, the certificate, the files and the
//! environment may be, and what answers though it is no Label Studio.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_doctor;

use label_studio_harness::{Authority, RunFolder, TlsFront};
use label_studio_simulator::{Options, Simulator};
use stage_doctor::{doctor, files, look_at, secret, server};
use std::net::TcpListener;

const A_PAGE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\nconnection: close\r\n\r\n<p>Welcome</p>";
const A_REDIRECT: &str = "HTTP/1.1 302 Found\r\nlocation: https://sso.example.org/login?state=sesame\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_reached_is_told_with_the_place_where_the_way_ends() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let run = look_at(&url, "sesame-sesame");
    assert_eq!(run.code, 1);
    let found = run.of("server").replace(&url, "URL");
    assert!(found.starts_with("FAILED  server        127.0.0.1 cannot be reached (connect): "), "{found}");
    assert!(found.ends_with("do: check host and port in --url \"URL\", that the server runs, and what stands between (a firewall; HTTPS_PROXY and NO_PROXY)"), "{found}");
    assert!(run.out.ends_with("\n\n1 failed\n"), "nothing else is asked: {}", run.out);

    let run = look_at("https://label-studio.invalid", "sesame-sesame");
    let found = run.of("server");
    assert!(
        found.contains("label-studio.invalid cannot be reached (DNS): ") && found.contains("look it up"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_label_studio_is_told_and_gets_no_token() {
    let page = server(A_PAGE);
    let run = look_at(&page, "sesame-sesame");
    assert_eq!(
        run.out.replace(&page, "URL"),
        "\
URL
  ok      URL           --url URL
  FAILED  server        /api/version/ answered 200 with text/html: this is not Label Studio, or a proxy answers in its place
                        do: check --url \"URL\"

1 failed
"
    );
    assert_eq!(run.code, 1);
    let elsewhere = server(A_REDIRECT);
    let run = look_at(&elsewhere, "sesame-sesame");
    assert_eq!(
        run.of("server").replace(&elsewhere, "URL"),
        "FAILED  server        /api/version/ redirects to sso.example.org, which is never followed: set the final URL\ndo: check --url \"URL\""
    );
    assert_eq!(run.code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_asked_for_by_name_and_its_certificate_helps() {
    let simulator = Simulator::start(Options::enterprise()).await.unwrap();
    let authority = Authority::new().unwrap();
    let front = TlsFront::start(simulator.address(), authority.identity("localhost").unwrap()).await.unwrap();
    let (url, token) = (front.url(), simulator.legacy_token());
    let key = [("LABEL_STUDIO_API_KEY", &*token)];

    let unknown = files(&url, "", "");
    let run = doctor(&unknown, &["."], &key);
    let found = run.of("server");
    assert!(found.contains("localhost cannot be reached (TLS): ") && found.contains("UnknownIssuer"), "{found}");
    assert!(
        found.ends_with(
            "is a private one, name it in spec.tls.caBundle; else have the certificate renewed, or check spec.url"
        ),
        "{found}"
    );
    assert_eq!(run.code, 1);

    let pem = authority.pem().replace('\n', "\n    ");
    let map = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ca\ndata:\n  ca.crt: |\n    {pem}\n");
    let named = "  tls:\n    caBundle:\n      configMapName: ca\n";
    let run = doctor(&files(&url, named, &map), &["."], &key);
    assert_eq!((run.code, run.marked("FAILED ")), (0, Vec::new()), "{}", run.out);
    let damaged = map.replace("MII", "!!!");
    let run = doctor(&files(&url, named, &damaged), &["."], &key);
    assert!(
        run.of("certificates")
            .ends_with("do: spec.tls.caBundle names key \"ca.crt\" of ConfigMap \"ca\"; put certificates in PEM there"),
        "{}",
        run.out
    );
    let run = doctor(&files(&url, named, ""), &["."], &key);
    assert!(
        run.of("certificates").contains("spec.tls.caBundle: ConfigMap \"ca\" is not among the files"),
        "{}",
        run.out
    );
    assert_eq!(run.code, 1);

    // What is said where no file can name one.
    std::fs::write(unknown.file("ca.pem"), authority.pem()).unwrap();
    let run = doctor(&unknown, &["--url", &url], &key);
    assert!(run.of("server").contains("name it in SSL_CERT_FILE"), "{}", run.out);
    let run = doctor(&unknown, &["--url", &url], &[key[0], ("SSL_CERT_FILE", "ca.pem")]);
    assert_eq!((run.code, run.marked("FAILED ")), (0, Vec::new()), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_organizations_of_files_are_looked_at_each_by_its_own_words() {
    let simulator = Simulator::start(Options::enterprise()).await.unwrap();
    let (url, token) = (simulator.url(), simulator.legacy_token());
    let key = [("LABEL_STUDIO_API_KEY", &*token)];

    let closed = "  organizationId: 1\n  signup:\n    requireInvite: true\n";
    let run = doctor(&files(&url, closed, ""), &["organization.yaml"], &key);
    assert_eq!(run.out.lines().next(), Some(&*format!("Organization acme: {url}")));
    assert_eq!(run.of("organization"), "ok      organization  1, as spec.organizationId says: \"Label Studio\"");
    assert_eq!(
        run.of("sign-up"),
        "FAILED  sign-up       open, and spec.signup.requireInvite wants it closed\ndo: set LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=\"true\" in the environment of Label Studio, or name its workload in spec.signup.workloads"
    );
    assert_eq!((run.code, &*run.err), (1, ""));
    simulator.set_signup_closed(true);
    let run = doctor(&files(&url, closed, ""), &["organization.yaml"], &key);
    assert_eq!(run.of("sign-up"), "ok      sign-up       closed: who has no invite link is refused");
    assert_eq!(run.code, 0);

    // Another organization than the one that is meant.
    let run = doctor(&files(&url, "  organizationId: 7\n", ""), &["."], &key);
    assert_eq!(
        run.of("organization"),
        "FAILED  organization  the token belongs to organization 1, but spec.organizationId is 7: correct one of the two"
    );
    assert_eq!((run.code, run.marked("ok     ").last()), (1, Some(&"sign-up")));

    // A Secret among the files goes before the environment, and nobody has to guess which of the two was used.
    let run = doctor(&files(&url, "", &secret("wrong-wrong")), &["."], &key);
    assert_eq!(
        run.of("token"),
        "ok      token         a legacy token in key \"token\" of Secret \"label-studio\" (LABEL_STUDIO_API_KEY is set as well, and not used); it has no end"
    );
    assert!(
        run.of("sign-in")
            .ends_with("refuses the token in key \"token\" of Secret \"label-studio\"; put a valid one there"),
        "{}",
        run.out
    );
    let run = doctor(&files(&url, "", &secret(&token)), &["."], &[("LABEL_STUDIO_API_KEY", "wrong-wrong")]);
    assert_eq!(run.code, 0, "{}", run.out);

    // No token at all: the server is looked at all the same.
    let run = doctor(&files(&url, "", ""), &["."], &[]);
    assert_eq!(
        run.of("token"),
        "FAILED  token         spec.credentials.secretRef: Secret \"label-studio\" is not among the files, and LABEL_STUDIO_API_KEY is not set: set it to a legacy token or a personal access token of an Owner or Administrator"
    );
    assert_eq!(run.marked("ok     "), ["URL", "server", "version", "sign-up"], "{}", run.out);
    let elsewhere = [key[0], ("LABEL_STUDIO_URL", "https://other.example.com")];
    let run = doctor(&files(&url, "", ""), &["."], &elsewhere);
    assert!(run.of("token").contains("LABEL_STUDIO_API_KEY is the token of LABEL_STUDIO_URL="), "{}", run.out);

    // Suspended: not asked. Not valid: an error, as of every other command.
    let before = simulator.journal().len();
    let run = doctor(&files(&url, "  suspend: true\n", ""), &["."], &key);
    assert_eq!(
        run.out,
        format!("Organization acme: {url}\n  suspended (spec.suspend): nothing is asked\n\nnothing was asked\n")
    );
    assert_eq!((run.code, simulator.journal().len()), (0, before));
    let run = doctor(&files(&url, "  suspendd: true\n", ""), &["."], &key);
    assert_eq!((run.code, &*run.out), (1, ""));
    assert!(
        run.err.contains("unknown field; did you mean suspend?") && run.err.contains("error: the files are not valid"),
        "{}",
        run.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_url_or_goes_in_the_open_is_told_before_anything_is_asked() {
    let folder = RunFolder::new("doctor").unwrap();
    let run = doctor(&folder, &[], &[]);
    assert_eq!(
        (run.code, &*run.err),
        (1, "error: nothing to look at: name the files of an Organization, or add --url\n")
    );
    let run = doctor(&folder, &["--url", "https://ann:sesame@example.com/studio?token=sesame"], &[]);
    assert_eq!(
        run.out,
        "\
https://example.com/studio
  FAILED  URL           --url \"https://example.com/studio\": the URL must not carry a user or a password: the token belongs into the Secret

1 failed
"
    );
    assert_eq!((run.code, &*run.err), (1, ""));
    // A name that no resolver knows, so that no token goes anywhere.
    let run = doctor(&folder, &["--url", "http://label-studio.invalid"], &[("LABEL_STUDIO_API_KEY", "sesame-sesame")]);
    assert_eq!(
        run.of("URL"),
        "warning URL           --url http://label-studio.invalid: plain http, so anybody on the way can read the token\ndo: use https"
    );
    let run = doctor(&folder, &[], &[("LABEL_STUDIO_URL", "label-studio.example.com")]);
    assert!(
        run.of("URL").starts_with("FAILED  URL           LABEL_STUDIO_URL \"label-studio.example.com\": the URL"),
        "{}",
        run.out
    );
}
