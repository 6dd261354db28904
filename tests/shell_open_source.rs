//! The commands without a cluster against the real open-source Label Studio: what is exported leaves nothing to do, what it can do is
//! done, and what it lacks is told.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_shell;

use label_studio_harness::OpenSourceLabelStudio;
use label_studio_simulator::Options;
use stage_shell::Shell;

#[tokio::test]
async fn export_plan_and_apply_work_on_real_open_source_label_studio() {
    let server = OpenSourceLabelStudio::start().await.unwrap();
    server.sign_up("ada@example.com").await.unwrap();
    let mut shell = Shell::open(Options::default()).await;
    shell.token = Some(server.legacy_token().to_owned());
    shell.more = vec![("LABEL_STUDIO_URL", server.url())];

    let ran = shell.run(&["export", "-o", "people"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(shell.read("people/members.yaml").ends_with("  emails:\n    - ada@example.com\n"));
    for arguments in [["plan", "people"].as_slice(), &["apply", "people", "--yes"]] {
        let ran = shell.run(arguments).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(ran.out.ends_with("Plan: nothing to do; 1 as declared, 0 unmanaged.\n"), "{}", ran.out);
    }

    let organization = shell.read("people/organization.yaml");
    shell.write("people/organization.yaml", &organization.replace("  title: Label Studio\n", "  title: Acme Labels\n"));
    let members = shell.read("people/members.yaml");
    shell.write("people/members.yaml", &format!("{members}    - new@example.com\n"));
    let ran = shell.run(&["plan", "people"]).await;
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.out.contains("  ~ title \"Label Studio\" → \"Acme Labels\"\n"), "{}", ran.out);
    assert!(ran.out.contains("  ! new@example.com: UnsupportedByEdition: "), "{}", ran.out);
    let ran = shell.run(&["apply", "people", "--yes"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.ends_with("Done: 1, held: 1, not done: 0.\n"), "{}", ran.out);
    assert_eq!(shell.run(&["plan", "people"]).await.code, 0);

    let ran = shell.run(&["export", "-o", "csv"]).await;
    let ada = ran.out.lines().find(|line| line.starts_with("ada@example.com,")).unwrap();
    assert!(ada.starts_with("ada@example.com,,Active,20") && ada.contains(",no,,person,"), "{ada}");
}
