//! However an address is typed in a manifest or stored on the server, it is the same person: nobody is mailed who is there,
//! and status shows what was typed.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_simulator::Options;
use stage::{Stage, person};

#[tokio::test]
async fn members_are_found_however_they_are_typed_or_stored() {
    let stage = Stage::play(Options::default()).await;
    let forms = [
        ("  Ann@Example.COM ", "ann@example.com"),
        ("bea@example.com", "BEA@Example.com"),
        ("cy+labels@example.com", "cy+labels@example.com"),
        ("dee@bücher.example", "dee@xn--bcher-kva.example"),
        ("eve@xn--bcher-kva.example", "eve@bücher.example"),
        ("zoë@example.com", "zoë@example.com"),
    ];
    for (_, stored) in forms {
        stage.simulator.add_member(stored, "AN");
    }
    // Somebody else, for all that is known.
    stage.simulator.add_member("cy@example.com", "AN");
    let typed: Vec<&str> = forms.iter().map(|(typed, _)| *typed).collect();
    stage.apply(&Stage::invite("people", "Reviewer", &typed)).await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    for (typed, stored) in forms {
        assert_eq!(person(&invite, typed)["state"], "Active", "{typed}: {invite:#}");
        assert_eq!(stage.simulator.member(stored).unwrap().role, "RE", "{stored}");
    }
    assert_eq!(stage.simulator.mails().len(), 0);
    assert_eq!(stage.simulator.member("cy@example.com").unwrap().role, "AN");
}

#[tokio::test]
async fn a_newcomer_is_mailed_once_in_the_form_that_goes_over_the_wire() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&Stage::invite("people", "Annotator", &["Dee@Bücher.example", "dee@xn--bcher-kva.example"])).await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(invite["status"]["users"].as_array().unwrap().len(), 1, "one person: {invite:#}");
    assert_eq!(person(&invite, "Dee@Bücher.example")["state"], "Invited", "as typed first: {invite:#}");
    assert_eq!(invite["status"]["counts"]["total"], 1, "{invite:#}");
    let mails: Vec<String> = stage.simulator.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(mails, ["dee@xn--bcher-kva.example"]);
}
