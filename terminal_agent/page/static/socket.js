// The way to the agent: keeps a WebSocket open, says the token, comes back by itself.

const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 5000;
const OLD_TOKEN = 4001; // the agent was started anew: this document is of an earlier run

// Calls `shown(state)` for every state and `lost()` whenever there is no agent.
export class AgentSocket {
  #path;
  #shown;
  #lost;
  #socket = null;
  #wait = RETRY_FIRST_MS;

  constructor(path, shown, lost) {
    this.#path = path;
    this.#shown = shown;
    this.#lost = lost;
    this.#open();
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  #open() {
    const socket = new WebSocket(`ws://${location.host}${this.#path}`);
    this.#socket = socket;
    socket.onopen = () => {
      const token = document.querySelector('meta[name="token"]').content;
      socket.send(JSON.stringify({ token }));
    };
    socket.onmessage = (event) => {
      this.#wait = RETRY_FIRST_MS;
      this.#shown(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      this.#lost();
      const wait = this.#wait;
      this.#wait = Math.min(wait * 2, RETRY_LAST_MS);
      setTimeout(() => (event.code === OLD_TOKEN ? this.#reload() : this.#open()), wait);
    };
  }

  // Only while the agent answers: a reload without it would leave the browser's own error page.
  async #reload() {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      if (answer.ok) {
        location.reload();
        return;
      }
    } catch {
      // It went away again.
    }
    this.#open();
  }
}
