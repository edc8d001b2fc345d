//! The SQL files of `migrations/`, read and put in order. No database here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One SQL file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlFile {
    /// The file's name without its folder: what the ledger knows it by.
    pub(crate) name: String,
    /// What it does.
    pub(crate) sql: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub(crate) checksum: String,
}

impl SqlFile {
    /// A file from its parts.
    pub(crate) fn new(name: &str, sql: String) -> Self {
        let checksum = crate::digest::sha256(sql.as_bytes());
        Self { name: name.to_owned(), sql, checksum }
    }
}

/// All files, in the order in which they are applied.
#[derive(Debug, Default)]
pub(crate) struct MigrationFiles {
    /// `NNNN_name.sql`: each once, ever.
    pub(crate) numbered: Vec<SqlFile>,
    /// `api/*.sql`: again whenever they change.
    pub(crate) repeatable: Vec<SqlFile>,
}

/// Reads `migrations/` and `migrations/api/`.
pub(crate) fn read(folder: &Path) -> Result<MigrationFiles> {
    let files = MigrationFiles {
        numbered: read_folder(folder)?,
        repeatable: {
            let api = folder.join("api");
            if api.is_dir() { read_folder(&api)? } else { Vec::new() }
        },
    };
    check_numbers(&files.numbered)?;
    Ok(files)
}

fn read_folder(folder: &Path) -> Result<Vec<SqlFile>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).context("a migration's name must be UTF-8")?;
        let sql = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push(SqlFile::new(name, sql));
    }
    Ok(files)
}

/// Numbers start at 1 and leave no gap, so that two people who take the same number notice before a database does.
fn check_numbers(files: &[SqlFile]) -> Result<()> {
    for (index, file) in files.iter().enumerate() {
        let number = file.name.split('_').next().filter(|digits| digits.len() == 4);
        let Some(number) = number.and_then(|digits| digits.parse::<usize>().ok()) else {
            bail!("migrations/{} must be named NNNN_what_it_does.sql", file.name);
        };
        if number != index + 1 {
            bail!("migrations/{} should have number {:04}: numbers start at 0001, without gaps", file.name, index + 1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<SqlFile> {
        names.iter().map(|name| SqlFile::new(name, String::new())).collect()
    }

    #[test]
    fn numbers_are_consecutive() {
        assert!(check_numbers(&named(&["0001_a.sql", "0002_b.sql"])).is_ok());
        assert!(check_numbers(&named(&["0001_a.sql", "0003_b.sql"])).is_err());
        assert!(check_numbers(&named(&["0001_a.sql", "0001_b.sql"])).is_err());
        assert!(check_numbers(&named(&["1_a.sql"])).is_err());
        assert!(check_numbers(&named(&["roles.sql"])).is_err());
    }

    #[test]
    fn the_checksum_is_of_the_text() {
        let empty = SqlFile::new("a.sql", String::new());
        assert_eq!(empty.checksum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
