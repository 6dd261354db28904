//! `validate` as people and pipelines run it: the built binary, its output and its exit code. `docs/command-line.md` shows the
//! same.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{RunFolder, checkout};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_label-studio-operator");

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn folder(files: &[(&str, &str)]) -> RunFolder {
    let folder = RunFolder::new("validate").unwrap();
    for (name, text) in files {
        let path = folder.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn validate(folder: &RunFolder, arguments: &[&str]) -> Run {
    validate_with(folder, arguments, "")
}

fn validate_with(folder: &RunFolder, arguments: &[&str], stdin: &str) -> Run {
    let mut command = Command::new(BINARY);
    command.arg("validate").args(arguments).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

const ORGANIZATION: &str = "\
apiVersion: labelstudio.rs/v1alpha1
kind: Organization
metadata:
  name: acme
spec:
  url: https://label-studio.example.com
  credentials:
    secretRef:
      name: label-studio
";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: label-studio
stringData:
  token: sesame
";

fn people(name: &str, role: &str, emails: &[&str]) -> String {
    let head = "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata:\n";
    let mut text =
        format!("{head}  name: {name}\nspec:\n  organizationRef:\n    name: acme\n  role: {role}\n  emails:\n");
    for email in emails {
        writeln!(text, "    - {email}").unwrap();
    }
    text
}

#[test]
fn good_manifests_are_valid_and_other_kinds_are_passed_over() {
    let other = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n";
    let folder = folder(&[
        ("organization.yaml", &format!("{ORGANIZATION}---\n{SECRET}")),
        ("team/people.yml", &people("people", "Annotator", &["ann@example.com"])),
        ("team/.hidden/broken.yaml", "a: ["),
        ("web.yaml", other),
        ("notes.txt", "a: ["),
    ]);
    let run = validate(&folder, &["."]);
    assert_eq!(run.out, "3 files with 1 Organization and 1 UserInvite: all valid\n");
    assert_eq!((run.code, &*run.err), (0, ""));
}

#[test]
fn each_fault_names_file_line_column_object_field_value_and_remedy_and_all_are_told_at_once() {
    let wrong = "\
apiVersion: labelstudio.rs/v1alpha1
kind: UserInvite
metadata:
  name: annotators
spec:
  organizationRef:
    name: acmee
  role: Anotator
  emials:
    - ann@example.com
  emails:
    - ann
    - bob@example.com
  deletionPolicy: retain
";
    let folder = folder(&[("a.yaml", ORGANIZATION), ("b.yaml", wrong), ("c.yaml", "a: [")]);
    let run = validate(&folder, &["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(run.code, 2, "{}", run.err);
    let lines: Vec<&str> = run.out.lines().collect();
    let shown = |start: &str| {
        lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {}", run.out))
    };
    assert!(
        shown("a.yaml:9:13: warning: Organization acme: spec.credentials.secretRef.name: ")
            .contains("not among the files")
    );
    assert_eq!(
        *shown("b.yaml:8:9: "),
        "b.yaml:8:9: error: UserInvite annotators: spec.role: \"Anotator\": has to be one of Administrator, Manager, Reviewer, \
         Annotator, Deactivated; did you mean Annotator?"
    );
    assert_eq!(
        *shown("b.yaml:9:3: "),
        "b.yaml:9:3: error: UserInvite annotators: spec.emials: unknown field; did you mean emails?"
    );
    assert_eq!(
        *shown("b.yaml:12:7: "),
        "b.yaml:12:7: error: UserInvite annotators: spec.emails[0]: \"ann\": has another form; write an address such as \
         ann@example.com"
    );
    assert!(shown("b.yaml:14:19: ").ends_with("; did you mean Retain?"));
    shown("c.yaml:1:");
    assert_eq!(*lines.last().unwrap(), "3 files with 1 Organization and 1 UserInvite: 5 errors, 1 warning");
}

#[test]
fn what_only_several_files_show_is_told() {
    let folder = folder(&[
        ("a.yaml", &format!("{ORGANIZATION}---\n{SECRET}")),
        ("b.yaml", &people("annotators", "Annotator", &["ann@example.com", "Ann@Example.com", "bob@example.com"])),
        ("c.yaml", &people("managers", "Manager", &["ANN@example.com"])),
        ("d.yaml", &people("more", "Annotator", &["bob@example.com"])),
        ("e.yaml", &people("more", "Reviewer", &["eve@example.com"])),
        ("f.yaml", &people("lost", "Reviewer", &["leo@example.com"]).replace("name: acme", "name: acne")),
    ]);
    let run = validate(&folder, &["."]);
    assert_eq!(run.code, 2, "{}", run.err);
    for (start, words) in [
        ("./b.yaml:11:7: warning: ", "this list names the same person, in ./b.yaml:10"),
        ("./c.yaml:10:7: error: ", "with the role Annotator instead of Manager"),
        ("./d.yaml:10:7: warning: ", "UserInvite annotators names the same person, in ./b.yaml:12"),
        ("./e.yaml:4:9: error: ", "is declared already, in ./d.yaml:1"),
        ("./f.yaml:7:11: error: ", "did you mean \"acme\"?"),
    ] {
        let line =
            run.out.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {}", run.out));
        assert!(line.contains(words), "{words}: {line}");
    }
}

#[test]
fn what_a_grant_does_not_allow_is_told_where_the_organization_is_among_the_files() {
    let organization = ORGANIZATION.replace("name: acme", "name: acme\n  namespace: labels")
        + "  grants:\n    - namespaces: [vision]\n      maxRole: Annotator\n      emailDomains: [example.com]\n";
    let team = |namespace: &str, role: &str, email: &str| {
        people("team", role, &[email])
            .replace("name: team", &format!("name: team\n  namespace: {namespace}"))
            .replace("name: acme", "name: acme\n    namespace: labels")
    };
    for (namespace, role, email, field) in [
        ("vision", "Manager", "ann@example.com", "spec.role: \"Manager\": RoleAboveGrant"),
        ("vision", "Annotator", "ann@evil.com", "spec.emails[0]: \"ann@evil.com\": DomainNotGranted"),
        ("speech", "Annotator", "ann@example.com", "spec.organizationRef.namespace: \"labels\": NotGranted"),
    ] {
        let folder = folder(&[("o.yaml", &organization), ("t.yaml", &team(namespace, role, email))]);
        let run = validate(&folder, &["o.yaml", "t.yaml"]);
        assert_eq!(run.code, 2, "{}", run.out);
        assert!(run.out.contains(field), "{field}: {}", run.out);
    }
    let folder = folder(&[("o.yaml", &organization), ("t.yaml", &team("vision", "Annotator", "ann@example.com"))]);
    assert_eq!(validate(&folder, &["o.yaml", "t.yaml"]).code, 0);
    // Alone: it may be right.
    let run = validate(&folder, &["t.yaml"]);
    assert!(run.code == 0 && run.out.contains("warning"), "{}", run.out);
}

#[test]
fn tools_get_the_same_as_json() {
    let folder = folder(&[("b.yaml", &people("annotators", "Anotator", &["ann@example.com"]))]);
    let run = validate(&folder, &["b.yaml", "-o", "json"]);
    assert_eq!(run.code, 2);
    let told: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&told["version"], &told["valid"]), (&1.into(), &false.into()));
    let fault = told["faults"].as_array().unwrap().iter().find(|fault| fault["field"] == "spec.role").unwrap();
    for (key, value) in [
        ("file", "b.yaml"),
        ("severity", "error"),
        ("object", "UserInvite annotators"),
        ("value", "\"Anotator\""),
        ("remedy", "did you mean Annotator?"),
    ] {
        assert_eq!(fault[key], value);
    }
    assert_eq!((&fault["line"], &fault["column"]), (&8.into(), &9.into()));
}

#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    let anchors = "\
apiVersion: v1
kind: List
items:
  - apiVersion: labelstudio.rs/v1alpha1
    kind: UserInvite
    metadata: {name: one}
    spec: &spec
      organizationRef: &ref {name: acme}
      role: Annotator
      emails: [ann@example.com]
  - apiVersion: labelstudio.rs/v1alpha1
    kind: UserInvite
    metadata: {name: two}
    spec:
      <<: *spec
      emails: [bob@example.com]
";
    let json = r#"{"apiVersion": "labelstudio.rs/v1alpha1", "kind": "UserInvite", "metadata": {"name": "three"},
	"spec": {"organizationRef": {"name": "acme"}, "role": "Annotator", "emails": ["eve@example.com"]}}"#;
    let folder = folder(&[
        ("a.yaml", &format!("\u{feff}# of us\n---\n---\n{SECRET}---\n{ORGANIZATION}  suspend: yes\n...\n")),
        ("b.yaml", anchors),
        ("c.json", json),
        ("d.yaml", &people("four", "Annotator", &["joe@example.com"]).replace('\n', "\r\n")),
    ]);
    let run = validate(&folder, &["."]);
    assert_eq!(run.out, "4 files with 1 Organization and 4 UserInvites: all valid\n");
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    let twice = people("twice", "Annotator", &["ann@example.com"]) + "  role: Manager\n";
    for (text, line, word) in
        [("a: [1, 2\nb: 3\n", 2, ""), ("a:\n\tb: 1\n", 2, "tab"), (&*twice, 11, "role"), ("a: *nobody\n", 1, "anchor")]
    {
        let folder = folder(&[("a.yaml", text)]);
        let run = validate(&folder, &["a.yaml"]);
        assert_eq!(run.code, 2, "{text}: {}{}", run.out, run.err);
        assert!(run.out.starts_with(&format!("a.yaml:{line}:")) && run.out.contains(word), "{text}: {}", run.out);
    }
}

#[test]
fn aliases_that_explode_are_refused_and_take_little_memory() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    let folder = folder(&[("a.yaml", &bomb)]);
    let run = validate(&folder, &["a.yaml"]);
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    // The kernel counts what the process held at most.
    let limited = format!("ulimit -v 300000; exec {BINARY} validate a.yaml");
    let status = Command::new("bash").args(["-c", &limited]).current_dir(folder.path()).output().unwrap();
    assert_eq!(status.status.code(), Some(2), "{status:?}");
}

#[test]
fn what_cannot_be_read_is_no_verdict() {
    let folder = folder(&[("a.yaml", "kind: Pod\napiVersion: v1\n"), ("empty/.keep", "")]);
    std::fs::write(folder.file("latin.yaml"), b"name: \xe9").unwrap();
    for (arguments, words) in [
        (&["nowhere.yaml"][..], "nowhere.yaml: cannot be read: No such file"),
        (&["empty"], "there is no *.yaml, *.yml or *.json in this folder"),
        (&["latin.yaml"], "latin.yaml: is not text in UTF-8, from byte 7 on"),
        (&["a.yaml"], "there is no Organization and no UserInvite"),
        (&[], "required"),
        (&["a.yaml", "-o", "xml"], "invalid value 'xml'"),
    ] {
        let run = validate(&folder, arguments);
        assert_eq!((run.code, &*run.out), (1, ""), "{arguments:?}");
        assert!(run.err.contains(words), "{words}: {}", run.err);
    }
}

#[test]
fn ten_megabytes_from_standard_input_are_read_and_no_password_in_a_url_is_shown() {
    let long = format!("# {}\n{}", "x".repeat(10 * 1024 * 1024), ORGANIZATION.replace("https://", "https://me:pw@"));
    let folder = folder(&[]);
    let run = validate_with(&folder, &["-"], &long);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(
        run.out.contains("without user info") && run.out.contains("spec.url") && !run.out.contains("pw"),
        "{}",
        run.out
    );
    let too_long = format!("# {}\n", "x".repeat(33 * 1024 * 1024));
    let run = Command::new("bash")
        .args(["-c", &format!("exec {BINARY} validate long.yaml")])
        .current_dir({
            std::fs::write(folder.file("long.yaml"), too_long).unwrap();
            folder.path()
        })
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("is longer than 32 MiB"));
}

#[test]
fn a_reader_who_has_gone_does_not_make_it_valid() {
    let text: String =
        (0..2000).map(|n| people(&format!("p{n}"), "Anotator", &["ann@example.com"]) + "---\n").collect();
    let folder = folder(&[("a.yaml", &text)]);
    let piped = format!("set -o pipefail; {BINARY} validate a.yaml | head -n 1");
    let run = Command::new("bash").args(["-c", &piped]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "");
    assert_eq!(run.status.code(), Some(2), "{run:?}");
}

#[test]
fn every_example_is_valid() {
    let folder = folder(&[]);
    for example in std::fs::read_dir(checkout().join("examples")).unwrap() {
        let path = example.unwrap().path();
        // Charts and pipelines.
        if !path.is_dir() || path.ends_with("helm") || path.ends_with("ci") {
            continue;
        }
        let run = validate(&folder, &[path.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}: {}{}", path.display(), run.out, run.err);
    }
}
