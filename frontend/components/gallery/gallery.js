// Pages of examples of one query, asked of the API by the browser itself: turning a page waits for no rerun of the script,
// and the page after it is fetched meanwhile. Its tiles are those of `frontend/components/strip.py`; `tile_events` hears
// the clicks on them.

const galleries = new WeakMap()

function element(tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".us-gallery")
  if (!root || !data) return
  let gallery = galleries.get(root)
  if (!gallery) galleries.set(root, (gallery = new Gallery(root)))
  gallery.show(data)
}

async function answer(url) {
  const response = await fetch(url)
  const body = await response.json().catch(() => ({}))
  if (!response.ok) throw new Error([body.detail ?? `The server answered ${response.status}.`, body.fix].filter(Boolean).join(" "))
  return body
}

class Gallery {
  constructor(root) {
    this.strip = root.querySelector(".us-strip")
    this.bars = [...root.querySelectorAll(".us-pager")]
    for (const bar of this.bars) {
      const to = { ".first": () => 1, ".previous": () => this.page - 1, ".following": () => this.page + 1, ".last": () => this.count }
      for (const [name, page] of Object.entries(to)) bar.querySelector(name).onclick = () => this.open(page())
      const jump = bar.querySelector("input")
      jump.onchange = () => this.open(Math.max(1, Math.min(this.count, Math.round(Number(jump.value)) || this.page)))
    }
  }

  show(data) {
    const before = this.data
    this.data = data
    this.strip.style.setProperty("--us-tile", `${data.tile}px`)
    this.strip.classList.toggle("us-pixels", data.pixels)
    if (before?.identity === data.identity) return
    this.pages = new Map()
    this.count = 1
    this.open(Number(sessionStorage.getItem(this.place)) || 1)
  }

  get place() {
    return `unskew:page:${this.data.identity}`
  }

  // kept as a promise, so that a page that is being fetched already is not asked for twice
  load(page) {
    if (!this.pages.has(page)) {
      const found = this.fetched(page)
      found.catch(() => this.pages.delete(page))
      this.pages.set(page, found)
      if (this.pages.size > 20) this.pages.delete(this.pages.keys().next().value)
    }
    return this.pages.get(page)
  }

  async fetched(page) {
    const { base, project, query, size, picture } = this.data
    const examples = `${base}/projects/${project}/examples`
    const found = await answer(`${examples}?${new URLSearchParams({ ...query, limit: size, after: (page - 1) * size })}`)
    const seen = found.items.filter(example => example.text === null && example.columns === null)
    const asked = new URLSearchParams({ ids: seen.map(example => example.id).join(), size: picture })
    found.pictures = seen.length ? await answer(`${examples}/thumbnails?${asked}`).catch(() => ({})) : {}
    return found
  }

  async open(page) {
    const { identity } = this.data
    this.wanted = page
    try {
      const found = await this.load(page)
      if (this.wanted !== page || this.data.identity !== identity) return // another one was asked for meanwhile
      this.count = Math.max(1, Math.ceil(found.total / this.data.size))
      if (page > this.count) return void this.open(this.count) // what was remembered has become shorter
      this.page = page
      sessionStorage.setItem(this.place, page)
      this.draw(found)
      if (page < this.count) this.load(page + 1).catch(() => {})
    } catch (error) {
      if (this.wanted === page) this.strip.replaceChildren(element("p", "us-none", `${error.message} Reload the page to try again.`))
    }
  }

  draw(found) {
    const first = (this.page - 1) * this.data.size
    const number = n => n.toLocaleString("en")
    const words = found.items.length ? `${number(first + 1)}–${number(first + found.items.length)} of ${number(found.total)}` : "none"
    for (const bar of this.bars) {
      bar.querySelector(".where").textContent = words
      bar.querySelector(".pages").hidden = this.count === 1
      bar.querySelector(".of").textContent = `of ${number(this.count)}`
      Object.assign(bar.querySelector("input"), { value: this.page, max: this.count })
      for (const name of [".first", ".previous"]) bar.querySelector(name).disabled = this.page === 1
      for (const name of [".following", ".last"]) bar.querySelector(name).disabled = this.page === this.count
    }
    if (!found.items.length) this.strip.replaceChildren(element("p", "us-none", "No examples here."))
    else this.strip.replaceChildren(...found.items.map((example, n) => this.tile(example, found.pictures[example.id], n === 0)))
  }

  tile(example, picture, first) {
    const known = example.correct_share !== null
    const wrong = known && example.correct_share < 0.5
    const tile = element("figure", `us-tile${wrong ? " us-wrong" : ""}`)
    tile.setAttribute("role", "listitem")
    tile.title = this.described(example)
    const button = element("button", "us-open")
    Object.assign(button, { type: "button", tabIndex: first ? 0 : -1 }) // arrow keys reach the others
    button.dataset.example = example.id
    button.append(this.content(example, picture))
    tile.append(button)
    if (known || this.data.values) {
      const caption = element("figcaption")
      caption.append(element("span", "", this.data.values && example.value !== null ? signed(example.value) : ""))
      if (known) caption.append(element("span", wrong ? "us-no" : "us-ok", wrong ? "✗" : "✓"))
      tile.append(caption)
    }
    return tile
  }

  content(example, picture) {
    if (example.text !== null) return element("p", "us-text", example.text)
    if (example.columns !== null) {
      const list = element("dl", "us-row")
      for (const [name, value] of Object.entries(example.columns)) list.append(element("dt", "", name), element("dd", "", value || "–"))
      return list
    }
    const { base, project, picture: size } = this.data
    const image = element("img")
    image.src = picture ? `data:image/webp;base64,${picture}` : `${base}/projects/${project}/examples/${example.id}/thumbnail?size=${size}`
    image.alt = this.described(example)
    return image
  }

  described(example) {
    const parts = [`${example.split} example ${example.position + 1}`, `class ${example.label_name}`]
    if (example.prediction !== null) parts.push(`predicted ${this.data.classes[example.prediction]}`)
    for (const [name, value] of Object.entries(example.attributes)) parts.push(`${name}: ${value}`)
    return parts.join(", ")
  }
}

// as `format.signed`
function signed(value) {
  const size = Math.abs(value)
  const text = value === 0 || (size >= 1e-3 && size < 1e4) ? size.toFixed(size >= 0.01 || value === 0 ? 2 : 4) : size.toExponential(1)
  return (value < 0 ? "-" : "+") + text
}
