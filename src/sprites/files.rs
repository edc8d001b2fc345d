//! Files of a sprite. All of these calls wake it.

use wasm_bindgen::JsValue;
use worker::Method;

use super::transport::Ask;
use super::{Client, Error};

impl Client {
    /// Writes a file, streamed, with its parent directories.
    ///
    /// # Errors
    /// Whatever keeps it from being whole.
    pub async fn write_file(&self, name: &str, path: &str, mode: &str, content: JsValue) -> Result<(), Error> {
        let path = format!("/v1/sprites/{name}/fs/write?path={path}&mode={mode}&mkdirParents=true");
        let written = self.ask(Ask::sprite(Method::Put, path).stream(content).within(120_000)).await;
        if written == Err(Error::Unreachable) {
            // A refusal that comes while the upload goes on is lost with its connection; a small call learns it.
            self.has_file(name, "/etc/hostname").await?;
        }
        written.map(drop)
    }

    /// Gives a file another name, in place of what has it. A file that is not there has it already.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is the sprite that is not there.
    pub async fn rename_file(&self, name: &str, from: &str, to: &str) -> Result<(), Error> {
        let body = serde_json::json!({ "source": from, "dest": to, "workingDir": "/" });
        let ask = Ask::sprite(Method::Post, format!("/v1/sprites/{name}/fs/rename")).json(&body)?;
        match self.ask(ask).await {
            Ok(_) | Err(Error::Missing { code: Some(_), .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a file. Not for large ones: all of it is read.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is the sprite that is not there.
    pub async fn has_file(&self, name: &str, path: &str) -> Result<bool, Error> {
        match self.ask(Ask::sprite(Method::Get, format!("/v1/sprites/{name}/fs/read?path={path}"))).await {
            Ok(_) => Ok(true),
            Err(Error::Missing { code: Some(_), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
