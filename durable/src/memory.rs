//! What an object remembers, in its SQLite: single values, items of a kind, bytes, and which tickets were used.
//!
//! Memory elsewhere is a cache of it: an object may be evicted at any moment. Values are JSON; one that another version
//! wrote in another shape counts as absent.

use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::{Result, SqlStorage, SqlStorageValue};

/// The object's SQLite.
pub(crate) struct Memory(SqlStorage);

impl Memory {
    /// Opens it, and counts this construction.
    pub(crate) fn open(sql: SqlStorage) -> Result<Self> {
        sql.exec("create table if not exists memory (key text primary key, value text not null)", None)?;
        sql.exec("create table if not exists ticket (jti text primary key, expires_ms integer not null)", None)?;
        sql.exec(
            "create table if not exists item (kind text, id text, value text not null, primary key (kind, id))",
            None,
        )?;
        sql.exec(
            "create table if not exists blob (key text primary key, about text not null, bytes blob not null)",
            None,
        )?;
        let memory = Self(sql);
        let constructions: u64 = memory.get("constructions")?.unwrap_or(0);
        memory.put("constructions", &(constructions + 1))?;
        Ok(memory)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        Ok(self.read("select value from memory where key = ?", vec![key.into()])?.pop())
    }

    pub(crate) fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<()> {
        let text = serde_json::to_string(value)?;
        self.0.exec("insert or replace into memory (key, value) values (?, ?)", vec![key.into(), text.into()])?;
        Ok(())
    }

    pub(crate) fn remove(&self, key: &str) -> Result<()> {
        self.0.exec("delete from memory where key = ?", vec![key.into()])?;
        Ok(())
    }

    pub(crate) fn items<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>> {
        self.read("select value from item where kind = ? order by id", vec![kind.into()])
    }

    pub(crate) fn item<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>> {
        Ok(self.read("select value from item where kind = ? and id = ?", vec![kind.into(), id.into()])?.pop())
    }

    pub(crate) fn put_item<T: Serialize>(&self, kind: &str, id: &str, value: &T) -> Result<()> {
        let text = serde_json::to_string(value)?;
        let values = vec![kind.into(), id.into(), text.into()];
        self.0.exec("insert or replace into item (kind, id, value) values (?, ?, ?)", values)?;
        Ok(())
    }

    pub(crate) fn remove_item(&self, kind: &str, id: &str) -> Result<()> {
        self.0.exec("delete from item where kind = ? and id = ?", vec![kind.into(), id.into()])?;
        Ok(())
    }

    /// Keeps bytes and what they are, in place of what was there, in one statement. A row has at most 2 MB.
    pub(crate) fn put_blob<T: Serialize>(&self, key: &str, about: &T, bytes: Vec<u8>) -> Result<()> {
        let values = vec![key.into(), serde_json::to_string(about)?.into(), bytes.into()];
        self.0.exec("insert or replace into blob (key, about, bytes) values (?, ?, ?)", values)?;
        Ok(())
    }

    pub(crate) fn blob<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(T, Vec<u8>)>> {
        let rows = self.0.exec("select about, bytes from blob where key = ?", vec![key.into()])?;
        let Some(row) = rows.raw().next().transpose()? else { return Ok(None) };
        Ok(match row.as_slice() {
            [SqlStorageValue::String(about), SqlStorageValue::Blob(bytes)] => {
                serde_json::from_slice(about.as_bytes()).ok().map(|about| (about, bytes.clone()))
            }
            _ => None,
        })
    }

    /// Uses a ticket's id; false when it was used before.
    pub(crate) fn use_ticket(&self, jti: &str, now_ms: u64, expires_ms: u64) -> Result<bool> {
        let integer = |ms: u64| SqlStorageValue::try_from_i64(i64::try_from(ms).unwrap_or(0));
        self.0.exec("delete from ticket where expires_ms < ?", vec![integer(now_ms)?])?;
        if !self.texts("select jti from ticket where jti = ?", vec![jti.into()])?.is_empty() {
            return Ok(false);
        }
        self.0.exec("insert into ticket (jti, expires_ms) values (?, ?)", vec![jti.into(), integer(expires_ms)?])?;
        Ok(true)
    }

    fn read<T: DeserializeOwned>(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<T>> {
        Ok(self.texts(query, values)?.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// The texts of a query for one column.
    fn texts(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for row in self.0.exec(query, values)?.raw() {
            if let Some(SqlStorageValue::String(text)) = row?.pop() {
                texts.push(text);
            }
        }
        Ok(texts)
    }
}
