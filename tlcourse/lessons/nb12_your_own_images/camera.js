const button = this, place = button.parentElement;
const said = place.querySelector('span'), film = place.querySelector('video');
const field = button.closest('.tlcourse-lab').querySelector('.tlcourse-snapshot textarea');
const off = () => {
  (film.srcObject ? film.srcObject.getTracks() : []).forEach(track => track.stop());
  film.srcObject = null; film.style.display = 'none'; button.textContent = 'Camera';
};
said.textContent = '';
if (film.srcObject) {
  const page = document.createElement('canvas');
  page.width = film.videoWidth; page.height = film.videoHeight;
  page.getContext('2d').drawImage(film, 0, 0);
  field.value = page.toDataURL('image/jpeg', 0.92);
  ['input', 'change'].forEach(kind => field.dispatchEvent(new Event(kind, {bubbles: true})));
  off();
} else if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
  said.textContent = 'This page may not use a camera; Upload can.';
} else {
  button.textContent = 'asking ...';
  navigator.mediaDevices.getUserMedia({video: true}).then(stream => {
    film.srcObject = stream; film.style.display = 'block'; button.textContent = 'Take it';
    return film.play();
  }).catch(error => { off(); said.textContent = 'No camera: ' + error.message; });
}
