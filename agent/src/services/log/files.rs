//! The files of a log: `{name}.log`, which is written, and before it `{name}.log.{number}`, which are full.
//!
//! Numbers grow with every rotation, so that a file is the same one for as long as it is there. The files belong to the
//! machine's user, who may remove, move or change them: whatever is found is what there is.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Size at which a file is full.
pub const ROTATE_AT: u64 = 2 * 1024 * 1024;
/// Files of a log, the written one included.
pub const FILES_MAX: usize = 4;

/// Where a log's files are.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    name: String,
}

/// A file that was opened to be read.
#[derive(Debug)]
pub struct Opened {
    /// Its number.
    pub number: u64,
    /// The file.
    pub file: File,
    /// How long it was.
    pub length: u64,
}

impl Files {
    /// Those of a service. The name may be no path.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self { folder: crate::guest::log_folder(), name: format!("{}.log", service.replace('/', "_")) }
    }

    /// Opens the file that is written; its length.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&self) -> io::Result<(File, u64)> {
        std::fs::create_dir_all(&self.folder)?;
        let file = OpenOptions::new().create(true).append(true).open(self.written())?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    /// Makes the written file a full one, and removes those that are too many.
    pub fn rotate(&self) {
        let mut full = self.full();
        let number = full.last().map_or(1, |last| last + 1);
        if std::fs::rename(self.written(), self.path(number)).is_ok() {
            full.push(number);
        }
        let too_many = full.len().saturating_sub(FILES_MAX - 1);
        for number in full.into_iter().take(too_many) {
            let _ = std::fs::remove_file(self.path(number));
        }
    }

    /// Opens all of them, the oldest first. Between this and a rotation there is no other thread.
    #[must_use]
    pub fn open(&self) -> Vec<Opened> {
        let full = self.full();
        let written = full.last().map_or(1, |last| last + 1);
        let open = |number: u64, path: &Path| {
            let file = File::open(path).ok()?;
            let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
            Some(Opened { number, file, length })
        };
        let newest = full.len().saturating_sub(FILES_MAX - 1);
        let mut opened: Vec<Opened> =
            full.into_iter().skip(newest).filter_map(|number| open(number, &self.path(number))).collect();
        opened.extend(open(written, &self.written()));
        opened
    }

    /// Removes all of them.
    pub fn remove(&self) {
        for number in self.full() {
            let _ = std::fs::remove_file(self.path(number));
        }
        let _ = std::fs::remove_file(self.written());
    }

    fn written(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.{number}", self.name))
    }

    /// Numbers of the full ones, ascending.
    fn full(&self) -> Vec<u64> {
        let Ok(folder) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut numbers: Vec<u64> = folder
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let number = name.strip_prefix(&self.name)?.strip_prefix('.')?;
                number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number && number.len() <= 15)
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Removes files of services that are not among these: their definitions went while nobody was there to hear it.
pub fn sweep(services: &[String]) {
    let Ok(folder) = std::fs::read_dir(crate::guest::log_folder()) else { return };
    for entry in folder.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let base = name.trim_end_matches(|character: char| character.is_ascii_digit());
        let service = name.strip_suffix(".log").or_else(|| base.strip_suffix(".log."));
        if service.is_some_and(|service| !services.iter().any(|known| known == service)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
