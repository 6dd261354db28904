//! Files, folders and standard input as text, in a stable order and of bounded size. Looks into none of them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// 32 MiB, larger than any manifest of people: 500 addresses take 30 kB.
const LONGEST: u64 = 32 * 1024 * 1024;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// One file, as people name it.
#[derive(Debug)]
pub struct Text {
    pub file: String,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("{file}: cannot be read")]
    File { file: String, source: std::io::Error },
    #[error("{folder}: cannot be looked into")]
    Folder { folder: String, source: walkdir::Error },
    #[error("{0}: there is no *.yaml, *.yml or *.json in this folder; name a folder or file that has manifests")]
    NoManifest(String),
    #[error("{0}: is longer than 32 MiB, which no manifest is; name the manifests alone")]
    TooLong(String),
    #[error("{file}: is not text in UTF-8, from byte {at} on; save it as UTF-8")]
    NotText { file: String, at: usize },
}

/// A file is read whatever its name; of a folder `*.yaml`, `*.yml` and `*.json` in it and below, but for what is hidden. `-` is
/// standard input.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Text>, Unreadable> {
    let mut texts = Vec::new();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            texts.push(text(STANDARD_INPUT.to_owned(), std::io::stdin().lock())?);
        } else if path.is_dir() {
            for file in files(path)? {
                texts.push(open(&file)?);
            }
        } else {
            texts.push(open(path)?);
        }
    }
    Ok(texts)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let found = manifests_below(folder)?;
    if found.is_empty() { Err(Unreadable::NoManifest(folder.display().to_string())) } else { Ok(found) }
}

/// `*.yaml`, `*.yml` and `*.json` in a folder and below, but for what is hidden.
pub fn manifests_below(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    // Links are followed, since mounted ConfigMaps are made of them; a circle of them is an error.
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    let mut found = Vec::new();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
        let entry = entry.map_err(|source| Unreadable::Folder { folder: folder.display().to_string(), source })?;
        let is_manifest = entry.path().extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|e| end == *e));
        if is_manifest && entry.file_type().is_file() {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

fn open(path: &Path) -> Result<Text, Unreadable> {
    let file = path.display().to_string();
    match File::open(path) {
        Ok(open) => text(file, open),
        Err(source) => Err(Unreadable::File { file, source }),
    }
}

fn text(file: String, from: impl Read) -> Result<Text, Unreadable> {
    let mut bytes = Vec::new();
    if let Err(source) = from.take(LONGEST + 1).read_to_end(&mut bytes) {
        return Err(Unreadable::File { file, source });
    }
    if bytes.len() as u64 > LONGEST {
        return Err(Unreadable::TooLong(file));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text { file, text }),
        Err(error) => Err(Unreadable::NotText { file, at: error.utf8_error().valid_up_to() + 1 }),
    }
}
