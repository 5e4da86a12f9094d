// Spoken prompts, where the browser has a voice for the language; silence where it has none.

let last = "";

// Says what is new; the same words twice are said once.
export function speak(view, sentence) {
  const speech = window.speechSynthesis;
  if (!speech || !view.voice) {
    if (last) {
      last = "";
      speech?.cancel();
    }
    return;
  }
  if (sentence === last) {
    return;
  }
  last = sentence;
  speech.cancel();
  const language = view.language === "en" ? "en" : "zh";
  const voice = speech.getVoices().find((one) => one.lang.toLowerCase().startsWith(language));
  if (voice) {
    const words = new SpeechSynthesisUtterance(sentence);
    words.voice = voice;
    words.lang = voice.lang;
    speech.speak(words);
  }
}
