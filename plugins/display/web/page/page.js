/**
 * The page's script: noVNC on the screen's socket, xterm.js on those of the
 * serial lines, and the buttons on the one of the machine's control.
 */

/** Milliseconds until a socket that was closed is opened again. */
const RETRY_MS = 1000;
/**
 * Bytes that a terminal may have before it, for instance while its tab is in
 * the background: then the last of the output comes anew.
 */
const BEHIND_LIMIT = 8 * 1024 * 1024;

// Named at run time: they are files of this server, not of this project.
const load = (path) => import(new URL(path, location.href).href);
const [{ default: RFB }, { Terminal }] = await Promise.all([
  load("novnc/core/rfb.js"),
  load("xterm.js"),
]);

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const element = (id) => document.getElementById(id);

/** The address of one of the server's sockets. */
function socketAddress(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  if (token !== "") url.searchParams.set("token", token);
  return url.href;
}

/** A view with a tab to choose it; `focus` is called when it is chosen. */
function addView(name, focus) {
  const view = document.createElement("section");
  view.className = "view";
  view.dataset.name = name;
  const tab = document.createElement("button");
  tab.type = "button";
  tab.textContent = name;
  tab.dataset.name = name;
  tab.addEventListener("click", () => {
    for (const other of element("views").children) {
      other.hidden = other !== view;
    }
    for (const other of element("tabs").children) {
      other.ariaSelected = String(other === tab);
    }
    focus();
  });
  element("tabs").append(tab);
  view.hidden = element("views").childElementCount > 0;
  tab.ariaSelected = String(!view.hidden);
  element("views").append(view);
  return view;
}

let rfb;
const screen = addView("screen", () => rfb?.focus());

function connectScreen() {
  rfb = new RFB(screen, socketAddress("screen"), { shared: true });
  rfb.scaleViewport = true;
  rfb.addEventListener("connect", () => {
    document.body.dataset.screen = "connected";
    if (!screen.hidden) rfb.focus();
  });
  rfb.addEventListener("disconnect", () => {
    delete document.body.dataset.screen;
    setTimeout(connectScreen, RETRY_MS);
  });
}

/** A terminal on a serial line. */
function addTerminal(name) {
  const terminal = new Terminal({ scrollback: 5000 });
  terminal.open(addView(name, () => terminal.focus()));
  let socket;
  let behind = 0;
  const send = (bytes) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
  };
  terminal.onData((text) => send(new TextEncoder().encode(text)));
  // Mouse reports and the like: a byte a character.
  terminal.onBinary((text) =>
    send(Uint8Array.from(text, (character) => character.charCodeAt(0)))
  );
  const connect = () => {
    socket = new WebSocket(
      socketAddress(`serial/${encodeURIComponent(name)}`),
    );
    socket.binaryType = "arraybuffer";
    // What the server has kept comes again: RIS, after what is not shown yet.
    socket.addEventListener("open", () => terminal.write("\x1bc"));
    socket.addEventListener("message", ({ data }) => {
      behind += data.byteLength;
      terminal.write(new Uint8Array(data), () => behind -= data.byteLength);
      if (behind > BEHIND_LIMIT) socket.close();
    });
    socket.addEventListener("close", () => setTimeout(connect, RETRY_MS));
  };
  connect();
}

let control;
const terminals = new Set();

function connectControl() {
  control = new WebSocket(socketAddress("control"));
  control.addEventListener("message", ({ data }) => {
    element("status").textContent = "";
    for (const name of JSON.parse(data).serial) {
      if (terminals.has(name)) continue;
      terminals.add(name);
      addTerminal(name);
    }
  });
  control.addEventListener("close", ({ reason }) => {
    element("status").textContent = reason || "not connected";
    setTimeout(connectControl, RETRY_MS);
  });
}

for (const button of ["reset", "power"]) {
  element(button).addEventListener("click", () => {
    if (control.readyState === WebSocket.OPEN) control.send(button);
  });
}
element("ctrl-alt-del").addEventListener("click", () => {
  rfb.sendCtrlAltDel();
  rfb.focus();
});

connectScreen();
connectControl();
