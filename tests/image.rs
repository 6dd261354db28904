//! The container image that `scripts/image` makes: what is in it, what it says of itself, and that it runs.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

use label_studio_harness::{RunFolder, checkout, image_archive, say_skipped};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = "/usr/local/bin/label-studio-operator";

/// The archive, unpacked: every blob lies under its digest.
struct Image {
    folder: RunFolder,
    index: Value,
    manifest: Value,
    config: Value,
}

impl Image {
    async fn open() -> Self {
        let folder = RunFolder::new("image").unwrap();
        run(Command::new("tar").arg("-xf").arg(image_archive().await.unwrap()).arg("-C").arg(folder.path()));
        let index = read(&folder.file("index.json"));
        let manifest = read(&blob(&folder, &index["manifests"][0]));
        let config = read(&blob(&folder, &manifest["config"]));
        Self { folder, index, manifest, config }
    }

    fn layer(&self) -> PathBuf {
        assert_eq!(self.manifest["layers"].as_array().unwrap().len(), 1);
        blob(&self.folder, &self.manifest["layers"][0])
    }
}

/// The file that a descriptor leads to, which is what the descriptor says.
fn blob(folder: &RunFolder, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let path = folder.file("blobs/sha256").join(digest);
    let content = std::fs::read(&path).unwrap();
    assert_eq!(descriptor["size"], content.len());
    assert_eq!(format!("{:x}", Sha256::digest(&content)), digest);
    path
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Of the sources as they are; nothing where there is no commit to name.
fn revision() -> String {
    run(&mut Command::new(checkout().join("scripts/revision"))).trim_end().to_owned()
}

#[tokio::test]
async fn it_holds_the_program_the_c_library_and_certificates_and_nothing_else() {
    let image = Image::open().await;
    let list =
        run(Command::new("tar").args(["-tvz", "--numeric-owner", "--utc", "--full-time", "-f"]).arg(image.layer()));
    let mut files = Vec::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let [mode, owner, _size, day, time, name] = std::array::from_fn(|_| words.next().unwrap());
        assert_eq!((owner, day, time), ("0/0", "1970-01-01", "00:00:00"), "{line}");
        assert!(["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"].contains(&mode), "{line}");
        if !mode.starts_with('d') {
            files.push(format!("/{name}"));
        }
    }
    let (libraries, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.starts_with("/lib"));
    assert_eq!(others, ["/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt", PROGRAM]);
    let known = ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux-"];
    for library in &libraries {
        let name = library.rsplit('/').next().unwrap();
        assert!(known.iter().any(|known| name.starts_with(known)), "{library} is no part of the C library");
    }
    assert!(libraries.iter().any(|library| library.contains("/ld-linux-")), "no loader: {libraries:?}");
}

#[tokio::test]
async fn it_says_who_runs_what_and_by_which_name_it_is_found() {
    let image = Image::open().await;
    let version = env!("CARGO_PKG_VERSION");
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!((&config["Entrypoint"], &config["Cmd"]), (&json!([PROGRAM]), &json!(["run"])));
    assert_eq!(config["Labels"]["org.opencontainers.image.version"], version);
    assert_eq!(image.config["os"], "linux");
    let label = &config["Labels"]["org.opencontainers.image.revision"];
    assert_eq!(label.as_str().unwrap_or_default(), revision());

    // What the chart asks for by its own values is what is loaded.
    let names = &image.index["manifests"][0]["annotations"];
    assert_eq!(names["io.containerd.image.name"], format!("docker.io/library/label-studio-operator:{version}"));
    assert_eq!(names["org.opencontainers.image.ref.name"], format!("label-studio-operator:{version}"));

    let containerfile = std::fs::read_to_string(checkout().join("Containerfile")).unwrap();
    let says = |word: &str| containerfile.lines().rev().find_map(|line| line.strip_prefix(word)).unwrap().trim();
    assert_eq!(config["User"], says("USER"));
    for (word, field) in [("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd")] {
        assert_eq!(config[field], serde_json::from_str::<Value>(says(word)).unwrap(), "{word}");
    }
}

#[tokio::test]
async fn the_same_input_gives_the_same_bytes() {
    let first = image_archive().await.unwrap();
    let folder = RunFolder::new("image-again").unwrap();
    let again = folder.file("again.tar");
    // Of another person, at another time, with other habits.
    let script = r#"umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 exec "$0" "$1""#;
    run(Command::new("sh").args(["-c", script]).arg(checkout().join("scripts/image")).arg(&again));
    let bytes = [first, again].map(|archive| std::fs::read(archive).unwrap());
    assert!(bytes[0] == bytes[1], "{} and {} bytes", bytes[0].len(), bytes[1].len());
}

#[tokio::test]
async fn the_program_runs_with_what_is_in_the_image_alone() {
    if !rustix::process::geteuid().is_root() {
        return say_skipped("running the image", "chroot needs root");
    }
    let image = Image::open().await;
    let root = image.folder.file("root");
    std::fs::create_dir(&root).unwrap();
    run(Command::new("tar").arg("-xzf").arg(image.layer()).arg("-C").arg(&root));
    let inside = |arguments: &[&str]| {
        run(Command::new("/usr/sbin/chroot")
            .arg("--userspec=65532:65532")
            .arg(&root)
            .arg(PROGRAM)
            .args(arguments)
            .env_clear())
    };
    let revision = Some(revision()).filter(|revision| !revision.is_empty());
    let revision = revision.as_deref().unwrap_or("development build");
    let version = format!("label-studio-operator {} ({revision})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(inside(&["--version"]), version);
    let crds = inside(&["crds"]);
    assert!(crds.contains("organizations.labelstudio.rs"), "{crds}");
}
