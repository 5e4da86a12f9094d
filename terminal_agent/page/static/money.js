// 分 → 元, by integers alone: an amount is never a fraction.

// 123456789 → "1,234,567.89"
export function yuan(fen) {
  if (!Number.isSafeInteger(fen)) {
    throw new RangeError("an amount is a whole number of 分");
  }
  const whole = Math.abs(fen);
  const rest = whole % 100;
  const digits = String((whole - rest) / 100).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${fen < 0 ? "-" : ""}${digits}.${String(rest).padStart(2, "0")}`;
}
