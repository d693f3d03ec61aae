/** A short tone when something calls for the bidder, if the person has asked for it. The choice stays with this browser. */
const KEPT = "openlot-live-sound";

export class Sound {
  private context: AudioContext | null = null;
  private on = localStorage.getItem(KEPT) === "on";

  constructor(private readonly button: HTMLButtonElement | null) {
    button?.addEventListener("click", () => this.toggle());
    this.show();
  }

  /** `high` for what is good or asks to act, `low` for what was lost. */
  play(tone: "high" | "low"): void {
    if (!this.on) return;
    this.context ??= new AudioContext();
    // Made before anything was pressed in this page, it waits.
    if (this.context.state !== "running") void this.context.resume();
    const oscillator = this.context.createOscillator();
    const volume = this.context.createGain();
    const now = this.context.currentTime;
    oscillator.frequency.value = tone === "high" ? 880 : 330;
    volume.gain.setValueAtTime(0.12, now);
    volume.gain.exponentialRampToValueAtTime(0.001, now + 0.35);
    oscillator.connect(volume).connect(this.context.destination);
    oscillator.start(now);
    oscillator.stop(now + 0.35);
  }

  private toggle(): void {
    this.on = !this.on;
    localStorage.setItem(KEPT, this.on ? "on" : "off");
    this.show();
    this.play("high");
  }

  private show(): void {
    this.button?.setAttribute("aria-pressed", String(this.on));
  }
}
