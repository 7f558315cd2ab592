// Bytes from the server as pixels: grey ink, signed numbers from cold to warm, the decision surface.
const DARK = matchMedia("(prefers-color-scheme: dark)");
// Of classes, in the order of their numbers: apart in hue and in lightness.
export const CLASSES = [[31, 95, 191], [214, 104, 28], [26, 138, 90], [150, 70, 170], [176, 42, 72], [90, 110, 20], [80, 80, 90]];

export const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export function paint(canvas, h, w, colour) {
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  for (let k = 0; k < h * w; k++) image.data.set(colour(k), 4 * k);
  context.putImageData(image, 0, 0);
}

export function paintGrey(canvas, text, [h, w]) {
  const values = bytes(text);
  paint(canvas, h, w, (k) => [values[k], values[k], values[k], 255]);
}

const ends = () => ["--cold-end", "--warm-end"].map((name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim().split(/\s+/).map(Number));

// 128 is zero and the ground of the theme; 0 and 255 are the two ends.
export function paintSigned(canvas, text, [h, w]) {
  const values = bytes(text);
  const [cold, warm] = ends();
  const ground = DARK.matches ? [24, 27, 34] : [250, 249, 246];
  paint(canvas, h, w, (k) => {
    const level = (values[k] - 127.5) / 127.5;
    const end = level < 0 ? cold : warm;
    const much = Math.min(1, Math.abs(level));
    return [...ground.map((g, i) => g + (end[i] - g) * much), 255];
  });
}

// q_1 over the ink: clear where it is zero.
export function paintOver(canvas, numbers, [h, w]) {
  const largest = numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30);
  paint(canvas, h, w, (k) => {
    const much = Math.abs(numbers[k]) / largest;
    return numbers[k] < 0 ? [70, 150, 255, 255 * much] : [255, 120, 40, 255 * much];
  });
}

export function paintSurface(canvas, surface, points) {
  const size = 2 * Math.min(320, canvas.clientWidth || 320);
  const [winner, sure] = [bytes(surface.winner), bytes(surface.sure)];
  const small = document.createElement("canvas");
  const ground = DARK.matches ? [20, 23, 29] : [255, 255, 255];
  const least = 255 / Math.max(2, new Set(winner).size);
  paint(small, surface.side, surface.side, (k) => {
    const much = 0.12 + 0.5 * Math.max(0, (sure[k] - least) / (255 - least));
    return [...ground.map((g, i) => g + (CLASSES[winner[k] % CLASSES.length][i] - g) * much), 255];
  });
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  context.drawImage(small, 0, 0, size, size);
  const [left, right, bottom, top] = surface.box;
  points.x.forEach((x, k) => {
    context.beginPath();
    context.arc(((x - left) / (right - left)) * size, ((top - points.y[k]) / (top - bottom)) * size, size / 130, 0, 7);
    context.fillStyle = `rgb(${CLASSES[points.label[k] % CLASSES.length]})`;
    context.fill();
    context.strokeStyle = DARK.matches ? "#14171d" : "#ffffff";
    context.stroke();
  });
}

export const onTheme = (redraw) => DARK.addEventListener("change", redraw);
