// The browser's WebSocket as a connection's socket.

import type { Socket } from "./connection";

export function browserSocket(url: string, subprotocol: string): Socket {
  const inner = new WebSocket(url, subprotocol);
  inner.binaryType = "arraybuffer";
  const socket: Socket = {
    send: (data) => {
      // What cannot be sent now is sent again after the next attach.
      if (inner.readyState === WebSocket.OPEN) {
        inner.send(data);
      }
    },
    close: (code) => inner.close(code),
    onopen: null,
    onmessage: null,
    onclose: null,
  };
  inner.onopen = () => socket.onopen?.();
  inner.onmessage = (event: MessageEvent<ArrayBuffer | string>) => socket.onmessage?.(event.data);
  inner.onclose = (event) => socket.onclose?.(event.code);
  return socket;
}
