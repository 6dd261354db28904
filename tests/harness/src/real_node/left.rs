//! What may be left of a node that has ended: it should be nothing.

use std::path::PathBuf;

/// Every process, mount, cgroup and file that bears the name of the node.
pub(super) fn left_of(name: &str) -> Vec<String> {
    let processes = entries("/proc")
        .into_iter()
        .flat_map(|process| ["cmdline", "cgroup", "mountinfo"].map(|file| process.join(file)));
    // A process may have gone meanwhile.
    let left = processes.filter(|file| std::fs::read_to_string(file).is_ok_and(|text| text.contains(name)));
    let folders = entries("/sys/fs/cgroup").into_iter().chain([std::env::temp_dir()]);
    let left = left.chain(folders.map(|folder| folder.join(name)).filter(|path| path.exists()));
    left.map(|path| path.display().to_string()).collect()
}

fn entries(folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
