// websocket/: just enough of RFC 6455 to say where one frame of a tunnel ends and the next begins, and to write a close
// frame there. It must not know messages, payloads or extensions: those belong to the two peers.
// This file is the door for other packages; files in here import each other directly.
export { clientCloseFrame, goingAway, serverCloseFrame } from "./close-frame.ts";
export { FrameTracker } from "./frame-tracker.ts";
