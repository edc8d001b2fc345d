//! AES-256-GCM: the platform's own, so that the bundle carries none. Only a Worker has it; nothing native seals.

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::error::Error;

const NAME: &str = "AES-GCM";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    fn import_key(
        format: &str,
        key: &Uint8Array,
        algorithm: &str,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = encrypt, catch)]
    fn subtle_encrypt(algorithm: &Object, key: &JsValue, bytes: &Uint8Array) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = decrypt, catch)]
    fn subtle_decrypt(algorithm: &Object, key: &JsValue, bytes: &Uint8Array) -> Result<Promise, JsValue>;
}

/// Encrypts; what comes out ends with the tag.
///
/// # Errors
/// [`Error::Internal`] when the platform has no such cipher.
pub async fn encrypt(key: &[u8; 32], nonce: &[u8; 12], bound: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run("encrypt", key, nonce, bound, bytes).await.map_err(|_| Error::Internal("the platform's cipher failed"))
}

/// Decrypts and verifies.
///
/// # Errors
/// [`Error::Internal`] when the bytes, the nonce or what they are bound to are not what was encrypted.
pub async fn decrypt(key: &[u8; 32], nonce: &[u8; 12], bound: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run("decrypt", key, nonce, bound, bytes).await.map_err(|_| Error::Internal("this was not encrypted so"))
}

async fn run(usage: &str, key: &[u8; 32], nonce: &[u8; 12], bound: &[u8], bytes: &[u8]) -> Result<Vec<u8>, JsValue> {
    let imported = import_key("raw", &Uint8Array::from(&key[..]), NAME, false, &Array::of1(&usage.into()))?;
    let key = JsFuture::from(imported).await?;
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &NAME.into())?;
    Reflect::set(&algorithm, &"iv".into(), &Uint8Array::from(&nonce[..]).into())?;
    Reflect::set(&algorithm, &"additionalData".into(), &Uint8Array::from(bound).into())?;
    let bytes = Uint8Array::from(bytes);
    let result = match usage {
        "encrypt" => subtle_encrypt(&algorithm, &key, &bytes)?,
        _ => subtle_decrypt(&algorithm, &key, &bytes)?,
    };
    let buffer = JsFuture::from(result).await?;
    Ok(Uint8Array::new(buffer.unchecked_ref()).to_vec())
}
