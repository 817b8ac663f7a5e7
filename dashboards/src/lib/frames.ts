// Stack frames in runs: those of the application are shown, runs of library frames are folded.
import type { Frame } from '../api/vervet'

/** Runs in order, each with the index of its first frame. Without any application frame, all are shown. */
export function foldFrames(frames: Frame[]): { at: number; app: boolean; frames: Frame[] }[] {
  const anyApp = frames.some((f) => f.in_app)
  const runs: { at: number; app: boolean; frames: Frame[] }[] = []
  frames.forEach((frame, at) => {
    const app = frame.in_app === true || !anyApp
    const last = runs.at(-1)
    if (last && last.app === app) last.frames.push(frame)
    else runs.push({ at, app, frames: [frame] })
  })
  return runs
}
